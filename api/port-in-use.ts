/** Says which setting to change when a port cannot be listened on. */
export function portInUse(error: Error, host: string, port: number, variable: string): Error {
  if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') return error;
  return new Error(
    `cannot listen on ${host}:${port}: another process uses that port; set ${variable} or stop that process`,
  );
}

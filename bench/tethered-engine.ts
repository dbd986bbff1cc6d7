/**
 * The engine as a benchmark starts it: a benchmark may be killed, and when the pipe from it closes, its engine stops
 * too instead of using the cores that the next one measures on.
 */
process.stdin.on('end', () => process.kill(process.pid, 'SIGTERM')).resume();

await import('../engine/main.js');

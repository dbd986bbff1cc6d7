/**
 * The engine as a benchmark starts it. A benchmark may be killed. When the pipe from it closes, its engine stops too
 * instead of using the cores of the next benchmark.
 */
process.stdin.on('end', () => process.kill(process.pid, 'SIGTERM')).resume();

await import('../engine/main.js');

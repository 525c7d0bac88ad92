import { join } from 'node:path'

// For every process and thread of the tests, which live for seconds: half of the processor time of such a server, and
// more of such a thread, would go into stripping types and compiling what has not changed since the one before.
process.env['NODE_COMPILE_CACHE'] ??= join(import.meta.dirname, '../node_modules/.cache/compiled')

import { pino, type Logger } from 'pino'
import { printableJson } from '../printable.ts'

export type { Logger } from 'pino'

/**
 * JSON lines on stderr, written synchronously: a transport thread would lose the last lines of a crash.
 * Fields that hold secrets are masked by name, whoever logs them.
 */
export function createLogger(level: string): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      // Names of streams and fields come from devices.
      hooks: { streamWrite: printableJson },
      redact: { paths: ['secret', 'token', 'password', 'authorization', '*.secret', '*.token', '*.password'] },
    },
    pino.destination({ fd: 2, sync: true }),
  )
}

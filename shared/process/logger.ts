import { pino, type Logger } from 'pino'

export type { Logger } from 'pino'

/**
 * What JSON leaves as it is, but a terminal obeys or nobody sees: DEL and C1 controls, line separators, what changes the
 * direction of text, characters of no width. Names of streams and fields come from devices.
 */
const UNSEEN = /[\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

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
      // Within JSON they only stand in texts, where their escape means the same.
      hooks: { streamWrite: (line) => line.replace(UNSEEN, escaped) },
      redact: { paths: ['secret', 'token', 'password', 'authorization', '*.secret', '*.token', '*.password'] },
    },
    pino.destination({ fd: 2, sync: true }),
  )
}

import { integer, type Config } from '../shared/config.ts'

const DAY_MS = 86_400_000

/** How long dead letters are kept, in either deployment. */
export const deadLetterSettings = {
  DEAD_LETTER_RETENTION_DAYS: integer(30, 'Days that dead letters are kept.', { min: 1, max: 3_650 }),
  DEAD_LETTER_RETENTION_MB: integer(256, 'Size of all dead letters, in MiB, above which the oldest are deleted.', {
    min: 64,
    max: 1_048_576,
  }),
} as const

/** As the log takes it. */
export function deadLetterRetention(config: Config<typeof deadLetterSettings>): { ageMs: number; bytes: number } {
  const { DEAD_LETTER_RETENTION_DAYS: days, DEAD_LETTER_RETENTION_MB: size } = config
  return { ageMs: days * DAY_MS, bytes: size * 1_048_576 }
}

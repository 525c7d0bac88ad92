import { integer } from '../shared/config.ts'

/** What of points holds whatever the store is. */
export const pointSettings = {
  POINT_RETENTION_DAYS: integer(
    0,
    'Days that readings of any tenant are kept at most, by their own time; `./sluice retention` sets less. 0: for ever, or as long as the InfluxDB bucket does.',
    { min: 0, max: 36_500 },
  ),
} as const

/** In ms; undefined = for ever. */
export function pointRetentionMs({ POINT_RETENTION_DAYS: days }: { POINT_RETENTION_DAYS: number }): number | undefined {
  return days === 0 ? undefined : days * 86_400_000
}

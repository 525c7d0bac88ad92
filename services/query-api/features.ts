import { SluiceError } from '../../shared/errors.ts'
import type { WorkerFeature } from '../../shared/features.ts'
import { inTime } from '../../shared/in-time.ts'
import type { ApiParts } from './api.ts'

/** A log that hangs is answered with 503. */
const LIMIT_MS = 2_000

/**
 * Resolves when every live worker reads the format, so that it may be written. A worker that is started later does, or ends
 * because of the registry's migrations. Errors: `feature_missing`, naming the others, and those of `workers`.
 */
export async function requireOfWorkers({ workers }: ApiParts<'workers'>, feature: WorkerFeature): Promise<void> {
  const live = await inTime(workers(), LIMIT_MS, 'log_unavailable')
  const others = live.filter(({ features }) => !features.includes(feature)).map(({ id, host }) => host ?? id)
  if (others.length === 0) return
  const shown = others.slice(0, 10).join(', ')
  throw new SluiceError(
    'feature_missing',
    `${others.length} of ${live.length} workers do not read ${feature}: ${shown}`,
  )
}

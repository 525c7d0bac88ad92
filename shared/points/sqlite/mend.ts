import { SluiceError } from '../../errors.ts'
import { formatInstant } from '../../telemetry.ts'
import type { Catalogue } from './catalogue.ts'
import type { Repair } from './chunk-repair.ts'
import { Damage, type Lost } from './damage.ts'
import type { Sources } from './read.ts'

/** Lost stretches that a message names one by one. */
const MAX_NAMED = 20

/**
 * Does a piece of work on the chunks. When it meets damage, the file is repaired and it is done once more; what it then
 * still misses is gone. Error: `store_corrupt`, which names the file, the series and the span.
 */
export function mending<T>(sources: Sources, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof Damage) || !sources.files.repair(error)) throw named(error, sources)
  }
  try {
    return work()
  } catch (error) {
    throw named(error, sources)
  }
}

/** Damage as an error that names what is lost. */
export function named(error: unknown, sources: Sources): unknown {
  if (!(error instanceof Damage)) return error
  const detail = `${error.file}: ${error.message}${error.lost === undefined ? '' : `: ${lostText(error.lost, sources.catalogue)}`}`
  return new SluiceError('store_corrupt', detail, { cause: error })
}

/** What was found and done, for people. */
export function repairText(file: string, { kept, lost }: Repair, catalogue: Catalogue): string {
  const copy =
    kept === undefined ? 'is missing' : `is damaged: it is kept as ${kept}, and what can be read of it is used`
  const some = lost.slice(0, MAX_NAMED).map((one) => lostText(one, catalogue))
  const more = lost.length > some.length ? `, and ${lost.length - some.length} more` : ''
  return `${file} ${copy}; ${lost.length === 0 ? 'no point is lost' : `lost: ${some.join('; ')}${more}`}`
}

/** `acme/pump-1 telemetry temperature from 2026-01-01T00:00:00Z to 2026-01-01T01:00:00Z`. */
export function lostText({ series, span: { from, to } }: Lost, catalogue: Catalogue): string {
  const name = series === undefined ? 'any series' : catalogue.nameOf(series)
  return `${name} from ${formatInstant(from)} to ${formatInstant(to)}`
}

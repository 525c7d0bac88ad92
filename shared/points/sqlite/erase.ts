import type { Instant } from '../../telemetry.ts'
import type { DeleteRange } from '../port.ts'
import type { FileName } from './chunk-files.ts'
import { cutOut, isCovered, type Sources } from './read.ts'
import { ALL_TIME, monthStart, type Span } from './time.ts'

export function spanOf({ from = ALL_TIME.from, to = ALL_TIME.to }: DeleteRange): Span {
  return { from, to }
}

/** Takes the points of a delete out of the unsealed ones. */
export function eraseFromMemory({ catalogue, generations }: Sources, range: DeleteRange): void {
  for (const series of catalogue.covered(range)) {
    for (const generation of generations) generation.erase(series, spanOf(range))
  }
}

/** Takes the points of a delete out of the chunks, durably. Doing it twice does no harm. */
export function eraseFromFiles(sources: Sources, range: DeleteRange): void {
  const { catalogue, files } = sources
  const tenant = catalogue.tenants.idOf(range.tenant)
  if (tenant === undefined) return
  const span = spanOf(range)
  const everything = range.device === undefined && range.stream === undefined
  const covered = catalogue.covered(range)
  for (const month of files.months(tenant, span)) {
    const whole = monthStart(month) >= span.from.ms && monthStart(month + 1) <= span.to.ms && span.from.ns === 0
    if (everything && whole) files.remove({ tenant, month })
    else eraseFromFile(sources, { tenant, month }, covered, span)
  }
}

function eraseFromFile({ catalogue, files }: Sources, name: FileName, covered: readonly number[], span: Span): void {
  const file = files.open(name)
  file.begin()
  for (const series of covered) {
    const type = catalogue.typeOf(series)
    for (const chunk of file.present(series, span.from, span.to)) {
      const rest = isCovered(chunk, span) ? [] : [cutOut(file.read(chunk, type), span)]
      file.replace(series, type, [chunk], rest)
    }
    if (file.hasGaps)
      file.forget(series, span, { from: at(monthStart(name.month)), to: at(monthStart(name.month + 1)) })
  }
  const empty = file.isEmpty
  files.commit(name)
  if (empty) files.remove(name)
}

function at(ms: number): Instant {
  return { ms, ns: 0 }
}

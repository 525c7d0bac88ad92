import type { FieldType } from '../../telemetry.ts'
import type { ScanSeries } from '../scan-check.ts'
import type { ScannedSeries } from '../port.ts'
import { toScanned } from '../scan-columns.ts'
import { WindowFold, type OpenWindow } from '../scan-windows.ts'
import { decodeChunk } from './chunk.ts'
import type { Run } from './columns.ts'
import { clip, merge } from './read.ts'
import { decodeSummary, type PackedSummary } from './summary.ts'
import type { Span } from './time.ts'

/** Points of a series for a reader: as they are, or as a chunk with the unsealed ones within its time. */
export type PackedPart =
  | { readonly kind: 'run'; readonly run: Run }
  /** A chunk that all counts of and that lies in one window: its summary. */
  | {
      readonly kind: 'summary'
      readonly ms: number
      readonly count: number
      readonly type: FieldType
      readonly summary: PackedSummary
    }
  | {
      readonly kind: 'chunk'
      readonly type: FieldType
      readonly count: number
      readonly startMs: number
      /** Of its checksum. */
      readonly seed: number
      readonly data: Uint8Array<ArrayBuffer>
      readonly beside: Run | undefined
    }

export interface PackedSeries {
  readonly series: ScanSeries
  /** What of the chunks counts. */
  readonly span: Span
  readonly parts: readonly PackedPart[]
  /** False when the next step goes on with it. */
  readonly ended: boolean
}

/** A step of a scan, to be unpacked: all that this takes, so that any thread can do it. */
export interface UnpackJob {
  readonly stepMs: number | undefined
  readonly series: readonly PackedSeries[]
  /** The window that the last step left open; it is one of the first series. */
  readonly open: OpenWindow | undefined
}

export interface Unpacked {
  readonly series: readonly ScannedSeries[]
  readonly open: OpenWindow | undefined
}

/** Points of the parts of a step as columns, or their windows. */
export function unpack({ stepMs, series, open }: UnpackJob): Unpacked {
  const found: ScannedSeries[] = []
  let left = open
  for (const one of series) {
    if (stepMs === undefined) {
      const scanned = toScanned(one.series, joined(one))
      if (scanned.ms.length > 0) found.push(scanned)
    } else {
      const folded = fold(one, stepMs, left).finish(one.series, one.ended)
      if (folded.found !== undefined) found.push(folded.found)
      left = folded.open
    }
  }
  return { series: found, open: left }
}

function joined({ span, parts }: PackedSeries): Run {
  const all: Run = { ms: [], ns: [], values: [] }
  for (const part of parts) {
    if (part.kind === 'summary') continue
    const run = runOf(part, span)
    // The usual case: all that is asked of a series lies in one chunk.
    if (parts.length === 1) return run
    for (const ms of run.ms) all.ms.push(ms)
    for (const ns of run.ns) all.ns.push(ns)
    for (const value of run.values) all.values.push(value)
  }
  return all
}

function fold({ series, span, parts }: PackedSeries, stepMs: number, open: OpenWindow | undefined): WindowFold {
  const { type } = series
  const windows = new WindowFold(type, stepMs, open)
  for (const part of parts) {
    if (part.kind === 'summary') windows.addSummary(part.ms, part.count, decodeSummary(part.type, part.summary))
    else {
      const { ms, values } = runOf(part, span)
      values.forEach((value, i) => windows.add(ms[i] ?? 0, value))
    }
  }
  return windows
}

function runOf(part: Exclude<PackedPart, { kind: 'summary' }>, span: Span): Run {
  if (part.kind === 'run') return part.run
  const points = clip(
    decodeChunk({ type: part.type, count: part.count, startMs: part.startMs }, part.data, part.seed),
    span,
  )
  return part.beside === undefined ? points : merge(points, part.beside)
}

import type { QueryAnswer } from './messages.ts'
import type { ScanStep } from './scan-state.ts'

/** The memory of an answer's columns or chunks, which goes over to the other thread instead of being copied. */
export function memoryOf(answer: unknown): ArrayBuffer[] {
  if (typeof answer !== 'object' || answer === null) return []
  if ('leftOut' in answer) return ofColumns(answer as QueryAnswer)
  if ('step' in answer) return memoryOf(answer.step)
  return 'series' in answer ? memoryOfStep(answer as ScanStep) : []
}

/** The memory of the chunks of a step. */
export function memoryOfStep({ series }: Pick<ScanStep, 'series'>): ArrayBuffer[] {
  return series.flatMap(({ parts }) => {
    return parts.flatMap((part) => (part.kind === 'chunk' && part.data !== undefined ? [part.data.buffer] : []))
  })
}

function ofColumns({ series }: QueryAnswer): ArrayBuffer[] {
  return series.flatMap(({ ms, ns, values }) => {
    const columns = [ms.buffer]
    if (ns !== undefined) columns.push(ns.buffer)
    if (values instanceof Float64Array) columns.push(values.buffer)
    return columns
  })
}

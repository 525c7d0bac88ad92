import type { QueryAnswer } from './messages.ts'
import type { ScanStep } from './scan-state.ts'

/** The memory of an answer's columns or chunks, which goes over to the other thread instead of being copied. */
export function memoryOf(answer: unknown): ArrayBuffer[] {
  if (typeof answer !== 'object' || answer === null) return []
  if ('leftOut' in answer) return ofColumns(answer as QueryAnswer)
  if ('step' in answer) return memoryOf(answer.step)
  return 'series' in answer ? memoryOfStep(answer as ScanStep) : []
}

/** The memory of the chunks of a step, which share it. */
export function memoryOfStep({ series }: Pick<ScanStep, 'series'>): ArrayBuffer[] {
  for (const { parts } of series) for (const part of parts) if (part.kind === 'chunk') return [part.data.buffer]
  return []
}

function ofColumns({ series }: QueryAnswer): ArrayBuffer[] {
  return series.flatMap(({ ms, ns, values }) => {
    const columns = [ms.buffer]
    if (ns !== undefined) columns.push(ns.buffer)
    if (values instanceof Float64Array) columns.push(values.buffer)
    return columns
  })
}

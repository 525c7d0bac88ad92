import type { QueryAnswer } from './messages.ts'

/** The memory of the columns of an answer, which crosses to the main thread instead of being copied. */
export function memoryOf(answer: unknown): ArrayBuffer[] {
  return isQueryAnswer(answer) ? buffersOf(answer) : []
}

function isQueryAnswer(answer: unknown): answer is QueryAnswer {
  return typeof answer === 'object' && answer !== null && 'next' in answer
}

function buffersOf({ series }: QueryAnswer): ArrayBuffer[] {
  return series.flatMap(({ ms, ns, values }) => {
    const columns = [ms.buffer]
    if (ns !== undefined) columns.push(ns.buffer)
    if (values instanceof Float64Array) columns.push(values.buffer)
    return columns
  })
}

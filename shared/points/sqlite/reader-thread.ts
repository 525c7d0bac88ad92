import { parentPort, type MessagePort } from 'node:worker_threads'
import type { Column, ScanColumns } from '../port.ts'
import type { Asked, Said } from '../../process/thread-client.ts'
import { toFailure } from './failure.ts'
import { unpack, type Unpacked, type UnpackJob } from './unpack.ts'

/** What a reader is asked: it owns nothing, so that one is as good as another. */
export interface ReaderCalls {
  unpack: { ask: UnpackJob; answer: Unpacked }
  close: { ask: undefined; answer: undefined }
}

type FromReader = Said<undefined, never>

function serve(port: MessagePort): void {
  const say = (message: FromReader, memory: ArrayBuffer[] = []): void => port.postMessage(message, memory)
  port.on('message', (request: Asked<ReaderCalls>) => {
    const { id } = request
    if (request.question === 'close') {
      say({ kind: 'answer', id, answer: undefined })
      return port.close()
    }
    try {
      const { answer, memory } = inOneBuffer(unpack(request.ask))
      say({ kind: 'answer', id, answer }, memory)
    } catch (error) {
      say({ kind: 'failure', id, failure: toFailure(error) })
    }
  })
  say({ kind: 'opened', opened: undefined })
}

/**
 * The same with all columns of numbers in one piece of memory, which goes over to the other thread: a buffer that does costs as
 * much as many bytes.
 */
function inOneBuffer({ series, open }: Unpacked): { answer: Unpacked; memory: ArrayBuffer[] } {
  const sizeOf = (column: unknown): number => (ArrayBuffer.isView(column) ? Math.ceil(column.byteLength / 8) * 8 : 0)
  const sizes = series.map(({ ms, ns, columns }) => {
    return Object.values(columns).reduce<number>((sum, column) => sum + sizeOf(column), sizeOf(ms) + sizeOf(ns))
  })
  const memory = new ArrayBuffer(sizes.reduce((sum, size) => sum + size, 0))
  let at = 0
  const moved = <T extends Column | Uint32Array | undefined>(column: T): T => {
    if (!ArrayBuffer.isView(column)) return column
    const { constructor, length } = column
    const copy = new (constructor as Float64ArrayConstructor)(memory, at, length)
    copy.set(column as Float64Array)
    at += sizeOf(column)
    // Of the same kind as the column, which the compiler does not know of a union.
    return copy as unknown as T
  }
  const answer = series.map((one) => {
    const columns = Object.entries(one.columns).map(([name, column]) => [name, moved(column as Column)])
    return { ...one, ms: moved(one.ms), ns: moved(one.ns), columns: Object.fromEntries(columns) as ScanColumns }
  })
  return { answer: { series: answer, open }, memory: [memory] }
}

// The main thread starts this file and nothing else does.
if (parentPort !== null) serve(parentPort)

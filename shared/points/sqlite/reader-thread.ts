import { parentPort, type MessagePort } from 'node:worker_threads'
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
      const answer = unpack(request.ask)
      say({ kind: 'answer', id, answer }, memoryOfColumns(answer))
    } catch (error) {
      say({ kind: 'failure', id, failure: toFailure(error) })
    }
  })
  say({ kind: 'opened', opened: undefined })
}

/** The memory of the columns goes over to the other thread. */
function memoryOfColumns({ series }: Unpacked): ArrayBuffer[] {
  return series.flatMap(({ ms, ns, columns }) => {
    const all: unknown[] = [ms, ns, ...(Object.values(columns) as unknown[])]
    return all.flatMap((column) => (ArrayBuffer.isView(column) ? [column.buffer as ArrayBuffer] : []))
  })
}

// The main thread starts this file and nothing else does.
if (parentPort !== null) serve(parentPort)

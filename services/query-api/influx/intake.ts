import { promisify } from 'node:util'
import { constants, gunzip } from 'node:zlib'
import { SluiceError } from '../../../shared/errors.ts'
import { gaugeOf, type Metrics } from '../../../shared/process/metrics.ts'

const inflate = promisify(gunzip)

/** Bytes of all bodies that are being received or wait for the log. */
const MOST_BYTES = 64 * 1024 * 1024
/** Of one login: no one takes all of it. */
const MOST_OF_ONE = MOST_BYTES / 2

/** What one request holds of the memory for bodies. */
export interface Place {
  /** Takes more. Error: `broker_overloaded`. */
  take(bytes: number): void
  /** Gives back all of it; may be called again. */
  leave(): void
}

/** The memory for bodies: who finds none is told to come back before its body is read. */
export class Intake {
  #bytes = 0
  readonly #byLogin = new Map<string, number>()

  constructor(metrics: Metrics) {
    const help = 'Bytes of bodies of line protocol that are being received or are not yet in the log'
    gaugeOf(metrics, 'sluice_http_lines_bytes', help, () => this.#bytes)
  }

  enter(login: string): Place {
    let own = 0
    const add = (bytes: number): void => {
      own += bytes
      this.#bytes += bytes
      const ofLogin = (this.#byLogin.get(login) ?? 0) + bytes
      if (ofLogin > 0) this.#byLogin.set(login, ofLogin)
      else this.#byLogin.delete(login)
    }
    return {
      take: (bytes) => {
        const isFull = this.#bytes + bytes > MOST_BYTES || (this.#byLogin.get(login) ?? 0) + bytes > MOST_OF_ONE
        if (isFull)
          throw new SluiceError('broker_overloaded', 'too many bytes of line protocol are waiting for the log')
        add(bytes)
      },
      leave: () => add(-own),
    }
  }
}

/**
 * What a gzip body holds, at most `limit` bytes. It is unpacked off the event loop, into what its end says that it takes: a
 * body that lies about that has all of its parts unpacked only where that much memory is free. Errors: `payload_too_large`,
 * `bad_request`, `broker_overloaded`.
 */
export async function unpack(body: Buffer, limit: number, place: Place): Promise<Buffer> {
  const declared = body.length < 18 ? 0 : body.readUInt32LE(body.length - 4)
  if (declared > limit) throw tooLarge(limit)
  place.take(declared)
  try {
    return await unpackInto(body, Math.max(1, declared))
  } catch (error) {
    if (!isTooLarge(error))
      throw new SluiceError('bad_request', 'the body is not gzip, as its encoding says', { cause: error })
  }
  // Several parts one behind the other.
  place.take(limit - declared)
  try {
    return await unpackInto(body, limit)
  } catch (error) {
    throw isTooLarge(error) ? tooLarge(limit) : error
  }
}

async function unpackInto(body: Buffer, maxOutputLength: number): Promise<Buffer> {
  return inflate(body, { maxOutputLength, finishFlush: constants.Z_FINISH })
}

function isTooLarge(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
}

/** Of a body that has more than `limit` bytes. */
export function tooLarge(limit: number): SluiceError {
  return new SluiceError(
    'payload_too_large',
    `the body has more than ${limit} bytes of line protocol, see HTTP_WRITE_BYTES_MAX`,
  )
}

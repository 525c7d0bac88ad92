import { connect, type Socket } from 'node:net'
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls'
import { connectPacket } from '../../shared/mqtt/client-packets.ts'

export interface StormTarget {
  readonly host: string
  readonly port: number
  /** With it: over TLS. */
  readonly trust?: SecureContext
}

export interface StormLogin {
  readonly username: string
  readonly password: string
  /** 0 = none. */
  readonly keepAliveSeconds?: number
}

/** What clients over TLS trust; made once, because it costs more than a handshake. */
export function trustIn(authority: string): SecureContext {
  return createSecureContext({ ca: authority })
}

const KEEP_ALIVE_SECONDS = 600
const CONNACK_BYTES = 4
/** A client that was not answered tries again after about so long. */
const AGAIN_MS = 250

/** A device that only connects; over TLS it resumes its session with the ticket of the connection before. */
export class StormClient {
  /** Connections that ended before they were answered. */
  failures = 0
  /** The last handshake was a short one. */
  isResumed = false
  readonly #target: StormTarget
  readonly #connect: Buffer
  #socket: Socket | undefined
  #session: Buffer | undefined

  constructor(target: StormTarget, login: StormLogin) {
    this.#target = target
    this.#connect = connectPacket({ clientId: login.username, keepAliveSeconds: KEEP_ALIVE_SECONDS, ...login })
  }

  get isOpen(): boolean {
    return this.#socket?.destroyed === false
  }

  /** Connects until it is let in. */
  async join(): Promise<void> {
    while ((await this.tryOnce()) !== 0) {
      this.failures += 1
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS * (0.5 + Math.random())))
    }
  }

  /** Resolves with the code of the CONNACK; undefined when the connection ended without one. */
  tryOnce(): Promise<number | undefined> {
    return new Promise((resolve) => {
      const socket = this.#open()
      this.#socket = socket
      let answer = Buffer.alloc(0)
      socket.on('error', () => socket.destroy())
      socket.on('close', () => resolve(undefined))
      socket.on('data', (bytes: Buffer) => {
        answer = Buffer.concat([answer, bytes])
        if (answer.length >= CONNACK_BYTES) resolve(answer[CONNACK_BYTES - 1])
      })
    })
  }

  /** Goes without a goodbye. */
  leave(): void {
    this.#socket?.destroy()
  }

  #open(): Socket {
    const { host, port, trust } = this.#target
    if (trust === undefined) {
      const socket = connect({ host, port, noDelay: true })
      socket.once('connect', () => socket.write(this.#connect))
      return socket
    }
    const resumption = this.#session === undefined ? {} : { session: this.#session }
    const socket = connectTls({ host, port, secureContext: trust, ...resumption })
    socket.on('session', (session) => (this.#session = session))
    socket.once('secureConnect', () => {
      this.isResumed = socket.isSessionReused()
      socket.write(this.#connect)
    })
    return socket
  }
}

/** Runs `work` on all of `items`, at most `atOnce` of them at the same time. */
export async function eachAtOnce<T>(
  items: Iterable<T>,
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = items[Symbol.iterator]()
  const next = async (): Promise<void> => {
    for (let item = left.next(); item.done !== true; item = left.next()) await work(item.value)
  }
  await Promise.all(Array.from({ length: atOnce }, next))
}

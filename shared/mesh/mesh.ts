import { SluiceError, toSluiceError } from '../errors.ts'
import type { Logger } from '../process/logger.ts'
import type { RedisLink } from './redis-link.ts'

/** Frames between nodes begin with what they are. */
export const Frame = {
  /** A message, with its number: see the publish script. */
  message: 0x4d,
  /** A message for one member of a group; see the scripts. */
  shared: 0x53,
  /** Telemetry for subscribers, and for members of groups. */
  telemetry: 0x54,
  sharedTelemetry: 0x55,
  question: 0x51,
  answer: 0x41,
} as const

/** Answers a question of another node; a thrown error travels back as its code and message. */
export type Answerer = (body: Buffer, from: string) => Buffer | Promise<Buffer>

/** Questions without an answer at once. */
const MAX_QUESTIONS = 10_000

interface Question {
  readonly resolve: (answer: Buffer) => void
  readonly reject: (error: unknown) => void
  readonly timer: NodeJS.Timeout
}

/** The channel on which a node is spoken to. */
export function nodeChannel(node: string): string {
  return `sluice:node:${node}`
}

/**
 * Speaks to nodes by name: one channel for each, so that what a message costs depends on the nodes that need it and on
 * nothing else. Redis keeps nothing of it: what is sent while a node is not connected is lost, and `send` says so.
 */
export class Mesh {
  readonly id: string
  readonly link: RedisLink
  readonly #logger: Logger
  readonly #frames = new Map<number, (frame: Buffer) => void>()
  readonly #answerers = new Map<string, Answerer>()
  readonly #questions = new Map<string, Question>()
  #asked = 0

  constructor(link: RedisLink, id: string, logger: Logger) {
    this.link = link
    this.id = id
    this.#logger = logger
  }

  /** To be called when all handlers are there. */
  async open(): Promise<void> {
    await this.link.listen(nodeChannel(this.id), (frame) => this.#take(frame))
  }

  onFrame(kind: number, handler: (frame: Buffer) => void): void {
    this.#frames.set(kind, handler)
  }

  /** `name` is one word. */
  onQuestion(name: string, answerer: Answerer): void {
    this.#answerers.set(name, answerer)
  }

  /** False when the node listens no more. Error: `redis_unavailable`. */
  async send(node: string, frame: Buffer): Promise<boolean> {
    return (await this.link.publish(nodeChannel(node), frame)) > 0
  }

  /** Errors: `node_unreachable` (at once when the node is gone, else after the time), `redis_unavailable`, those of the other side. */
  async ask(node: string, name: string, body: Buffer, timeoutMs: number): Promise<Buffer> {
    if (this.#questions.size >= MAX_QUESTIONS)
      throw new SluiceError('node_unreachable', 'too many requests to other nodes are pending')
    const id = String((this.#asked += 1))
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    const fail = (reason: string): void =>
      reject(new SluiceError('node_unreachable', `the broker node ${node} ${reason}`))
    const timer = setTimeout(() => fail('does not answer'), timeoutMs)
    this.#questions.set(id, { resolve, reject, timer })
    try {
      const head = Buffer.from(`Q${id} ${name} ${this.id}\n`)
      this.send(node, Buffer.concat([head, body])).then((isThere) => {
        if (!isThere) fail('is down')
      }, reject)
      return await promise
    } finally {
      clearTimeout(timer)
      this.#questions.delete(id)
    }
  }

  close(): void {
    for (const { reject } of this.#questions.values()) reject(new SluiceError('closed', 'the node is shutting down'))
  }

  #take(frame: Buffer): void {
    try {
      const kind = frame[0]
      if (kind === Frame.question) void this.#answer(frame)
      else if (kind === Frame.answer) this.#settle(frame)
      else this.#frames.get(kind ?? 0)?.(frame)
    } catch (error) {
      this.#logger.error({ err: error }, 'cannot read a message from another node')
    }
  }

  /** Never rejects. */
  async #answer(frame: Buffer): Promise<void> {
    const [head, body] = splitLine(frame)
    const [id = '', name = '', from = ''] = head.slice(1).split(' ')
    let answer: Buffer
    try {
      const answerer = this.#answerers.get(name)
      if (answerer === undefined) throw new SluiceError('unsupported', `this node does not support "${name}"`)
      answer = Buffer.concat([Buffer.from(`A${id} ok\n`), await answerer(body, from)])
    } catch (error) {
      const { code, message } = toSluiceError(error)
      answer = Buffer.from(`A${id} ${code}\n${message}`)
    }
    // Who asked gets no answer then, and knows by the time.
    await this.send(from, answer).catch((error: unknown) =>
      this.#logger.debug({ detail: toSluiceError(error).message, from }, 'a reply to another node was not sent'),
    )
  }

  #settle(frame: Buffer): void {
    const [head, body] = splitLine(frame)
    const [id = '', result = ''] = head.slice(1).split(' ')
    const question = this.#questions.get(id)
    if (question === undefined) return
    if (result === 'ok') question.resolve(body)
    else question.reject(new SluiceError(result === 'redis_unavailable' ? result : 'node_unreachable', body.toString()))
  }
}

const NEWLINE = 0x0a

/** The first line, and what follows it. */
export function splitLine(bytes: Buffer): [string, Buffer] {
  const end = bytes.indexOf(NEWLINE)
  if (end < 0) throw new Error('a frame without a first line')
  return [bytes.toString('utf8', 0, end), bytes.subarray(end + 1)]
}

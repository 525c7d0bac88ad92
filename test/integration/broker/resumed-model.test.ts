import fc from 'fast-check'
import { expect, it } from 'vitest'
import { BROKER_PARTS } from '../../../services/broker/connection/broker-context.ts'
import type { UnreleasedStore } from '../../../services/broker/telemetry/unreleased.ts'
import { startBroker, type Harness } from '../../broker-harness.ts'
import { logIn, type PacketClient } from '../../mqtt/packet-client.ts'
import { packet } from '../../mqtt/packets.ts'
import { swallowing } from '../../variants/unreleased-stores.ts'

/** What becomes of a packet: it arrives and is answered, or the connection breaks before or after it arrives. */
type Fate = 'answered' | 'lost' | 'answer lost'

const DEVICES = 9

interface Pending {
  readonly id: number
  readonly payload: string
  readonly qos: 1 | 2
  isReleased: boolean
}

/** A client as the specification has it: what is not acknowledged it repeats on its next connection, in order. */
class Model {
  /** Messages by payload. */
  readonly sent = new Map<string, number>()
  readonly #port: number
  readonly #name: string
  readonly #fates: Fate[]
  readonly #pending: Pending[] = []
  #client: PacketClient | undefined

  constructor(port: number, name: string, fates: readonly Fate[]) {
    this.#port = port
    this.#name = name
    this.#fates = [...fates]
  }

  async publish(wished: number, payload: string, qos: 1 | 2): Promise<void> {
    let id = wished
    while (this.#pending.some((one) => one.id === id)) id += 1
    this.sent.set(payload, (this.sent.get(payload) ?? 0) + 1)
    this.#pending.push({ id, payload, qos, isReleased: false })
    await this.#goOn(false)
  }

  /** Sends what is pending, over as many connections as that takes. */
  async #goOn(isRepeat: boolean): Promise<void> {
    let dup = isRepeat
    while (this.#pending.length > 0) {
      if (await this.#sendAll(dup)) continue
      this.#client?.drop()
      this.#client = undefined
      dup = true
    }
  }

  /** False when the connection has broken. */
  async #sendAll(dup: boolean): Promise<boolean> {
    this.#client ??= await logIn(this.#port, { username: this.#name, clean: false })
    for (const one of [...this.#pending]) {
      if (!one.isReleased && !(await this.#ask(this.#publishOf(one, dup), one))) return false
      if (one.qos === 2) {
        one.isReleased = true
        if (!(await this.#ask(packet.pubrel(one.id), one))) return false
      }
      this.#pending.splice(this.#pending.indexOf(one), 1)
    }
    return true
  }

  #publishOf({ id, payload, qos }: Pending, dup: boolean): Buffer {
    return packet.publish(`t/${this.#name}/telemetry`, payload, { id, qos, dup })
  }

  async #ask(sent: Buffer, { id }: Pending): Promise<boolean> {
    const fate = this.#fates.shift() ?? 'answered'
    if (fate === 'lost') return false
    const client = this.#client
    const before = client?.packets.length ?? 0
    client?.send(sent)
    await client?.packetsUpTo(before + 1)
    expect(client?.texts.at(-1)).toMatch(new RegExp(`^pub(ack|rec|comp) ${id}$`))
    return fate === 'answered'
  }
}

const fates = fc.array(fc.constantFrom<Fate>('answered', 'answered', 'lost', 'answer lost'), {
  minLength: 5,
  maxLength: 30,
})
/** Few ids and few payloads: much looks alike that is not the same. */
const messages = fc.array(fc.tuple(fc.integer({ min: 1, max: 2 }), fc.constantFrom('1', '2')), {
  minLength: 2,
  maxLength: 8,
})

/** Payloads and how often each was sent and is a reading of its own. */
async function run(
  { port, log }: Pick<Harness, 'port' | 'log'>,
  name: string,
  qos: 1 | 2,
  sequence: readonly (readonly [number, string])[],
  ends: readonly Fate[],
) {
  const from = log.records.length
  const model = new Model(port, name, ends)
  for (const [i, [id, payload]] of sequence.entries()) {
    // At QoS 1 a client must not use an id again for the same bytes, or nobody can tell.
    await model.publish(qos === 2 ? id : i + 1, payload, qos)
  }
  const stored = new Map<string, Set<string>>()
  for (const { value, ms, ns } of log.records.slice(from)) {
    const payload = Buffer.from(value).toString()
    stored.set(payload, (stored.get(payload) ?? new Set()).add(`${ms}.${ns}`))
  }
  return { sent: model.sent, stored: new Map([...stored].map(([payload, stamps]) => [payload, stamps.size])) }
}

/** Over sequences of messages and breaks: a session each, on devices in turn. */
async function check(through: (store: UnreleasedStore) => UnreleasedStore, qos: 1 | 2, numRuns: number): Promise<void> {
  const harness = await startBroker({}, { ...BROKER_PARTS, throughUnreleased: through })
  let device = 0
  await fc.assert(
    fc.asyncProperty(messages, fates, async (sequence, ends) => {
      device = (device % DEVICES) + 1
      const username = `a/${device}`
      // A session of its own.
      const clean = await logIn(harness.port, { username })
      clean.drop()
      const { sent, stored } = await run(harness, username, qos, sequence, ends)
      if (qos === 2) expect(stored).toEqual(sent)
      for (const [payload, count] of sent) expect(stored.get(payload)).toBeGreaterThanOrEqual(count)
    }),
    { numRuns },
  )
}

it('QoS 2: whatever breaks, each message is stored once, and none is taken for another', async () => {
  await check((store) => store, 2, 30)
})

it('QoS 1: whatever breaks, no message is lost', async () => {
  await check((store) => store, 1, 30)
})

it('the check above sees a store that swallows', async () => {
  await expect(check(swallowing, 2, 100)).rejects.toThrow('Property failed')
})

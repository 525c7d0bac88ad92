import { logIn, PacketClient } from '../../../mqtt/packet-client.ts'
import { packet } from '../../../mqtt/packets.ts'
import { TELEMETRY, type HostileCase, type Stage } from './cases.ts'

/** In the message in front of each case of a client that has logged in, and in the one behind every case. */
export const BEFORE = 'before'
export const BEHIND = 'behind'

/** Connections at once. */
const AT_ONCE = 16

const behind = packet.publish(TELEMETRY, BEHIND, { qos: 1, id: 2 })

interface Played {
  readonly case: HostileCase
  readonly client: PacketClient
  /** Packets that came before those that answer the case. */
  readonly greeting: number
  /** What came instead, when it took too long. */
  readonly failure: string | undefined
}

/** Plays all cases on one broker, several at once. What is alive stays connected. */
export async function playAll(port: number, cases: readonly HostileCase[]): Promise<Played[]> {
  const played: Played[] = []
  const waiting = cases.entries()
  const playOn = async (): Promise<void> => {
    for (const [index, it] of waiting) played[index] = await play(port, it, index)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, playOn))
  return played
}

async function play(port: number, it: HostileCase, index: number): Promise<Played> {
  const client = it.stage === 'first' ? new PacketClient(port) : await enter(port, it.stage, index)
  const greeting = client.packets.length
  let failure: string | undefined
  try {
    if (it.lives) await stays(client, it, greeting)
    else await ends(client, it)
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error)
  }
  return { case: it, client, greeting, failure }
}

async function enter(port: number, stage: Stage, index: number): Promise<PacketClient> {
  const level: 3 | 4 = stage === 'logged in with 3.1' ? 3 : 4
  const options = { clientId: `case ${index}`, keepalive: 60, level, clean: stage !== 'logged in with a session' }
  const client = await logIn(port, options)
  client.send(packet.publish(TELEMETRY, BEFORE, { qos: 1, id: 1 }))
  await client.packetsUpTo(2)
  return client
}

/** What is behind the bytes comes with them, so that the broker has both in its hands. */
async function ends(client: PacketClient, { bytes }: HostileCase): Promise<void> {
  client.send(bytes, behind)
  // Acknowledged, it is a mistake already.
  await client.until(() => client.isClosed || client.texts.includes('puback 2'), 'the end')
}

async function stays(client: PacketClient, { bytes, answers }: HostileCase, greeting: number): Promise<void> {
  client.send(bytes)
  await client.packetsUpTo(greeting + answers.length)
  client.send(packet.pingreq)
  await client.packetsUpTo(greeting + answers.length + 1)
}

/** What is wrong with how a case was answered, by now; undefined when nothing is. */
export function mistakeOf({ case: it, client, greeting, failure }: Played): string | undefined {
  const seen = client.texts
  const greeted = seen.slice(0, greeting).join(', ')
  const wanted = [...it.answers, ...(it.lives ? ['pingresp'] : [])]
  const answers = seen.slice(greeting)
  const isRight =
    failure === undefined &&
    (it.stage === 'first' || greeted === 'connack 0 0, puback 1') &&
    answers.toSorted().join(', ') === wanted.toSorted().join(', ') &&
    (!it.lives || answers.at(-1) === 'pingresp') &&
    client.isClosed === !it.lives
  if (isRight) return undefined
  const end = client.isClosed ? 'closed' : 'open'
  const due = it.lives ? 'open' : 'closed'
  const beyond = failure === undefined ? '' : `: ${failure}`
  return `${it.name}: ${answers.join(', ')} (${end}) instead of ${wanted.join(', ')} (${due})${beyond}`
}

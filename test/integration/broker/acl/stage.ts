import type { IConnectPacket } from 'mqtt-packet'
import type { FakeLog, FakeRegistry } from '../../../broker-harness.ts'
import type { AclRule } from '../../../../shared/registry/port.ts'
import { PacketClient } from '../../../mqtt/packet-client.ts'
import type { Version } from '../../../mqtt/packets.ts'
import type { Way } from '../../../mqtt/way.ts'

/** A broker under attack; a broken one may use neither registry nor log. */
export interface Place {
  readonly registry: FakeRegistry
  readonly log: FakeLog
}

export type Connect = Partial<Omit<IConnectPacket, 'cmd'>>

/** What went through although it must not: empty for a broker without holes. */
export type Breaches = readonly string[]

/**
 * One known hole. `rules`: an authorizer that allows everything has it, on every listener and in both versions; `more`:
 * something else stands before or behind the authorizer, such as the login.
 */
export interface AclCase {
  readonly name: string
  readonly guard: 'rules' | 'more'
  /** Tries it once, on one listener and in one version. */
  readonly attack: (stage: Stage) => Promise<Breaches>
}

const DEVICES = ['a/1', 'a/2', 'a/22', 'b/1', 'b/2']
export const INTRUDER = 'intruder'

/** One attack: fresh names, so that several in turn on one broker do not meet. */
export class Stage {
  readonly place: Place
  readonly version: Version
  /** In every message that the attacker is not to see, or must not get through. */
  readonly secret: string
  /** Makes client ids of this attack. */
  readonly run: string
  readonly #way: Way
  #admin: PacketClient | undefined

  constructor(place: Place, way: Way, version: Version) {
    this.place = place
    this.version = version
    this.#way = way
    this.run = `${way.kind}${version}`
    this.secret = `secret-${this.run}`
    for (const device of DEVICES) {
      place.registry.devices.add(device)
      place.registry.change(device)
    }
  }

  /** The login of an application with these rules, and no others. */
  application(...rules: readonly string[]): string {
    this.place.registry.applications.set(INTRUDER, rules.map(rule))
    this.place.registry.change(INTRUDER)
    return INTRUDER
  }

  /** The same application gets other rules; resolves when the broker acts on them. */
  async changeRules(...rules: readonly string[]): Promise<void> {
    this.application(...rules)
    await this.fence()
  }

  /** A device is removed; resolves when the broker has acted on it. */
  async remove(device: string): Promise<void> {
    this.place.registry.devices.delete(device)
    this.place.registry.change(device, true)
    await this.fence()
  }

  /** Connects with what a broken client might send; undefined: closed without CONNACK. */
  async attempt(connect: Connect): Promise<{ client: PacketClient; code: number | undefined }> {
    const client = new PacketClient(this.#way, this.version)
    const kept = this.version === 5 && connect.clean === false ? { properties: { sessionExpiryInterval: 3600 } } : {}
    return { client, code: await client.connect({ clientId: `c-${this.run}`, ...kept, ...connect }) }
  }

  /** A client that is let in. */
  async client(username: string, connect: Connect = {}): Promise<PacketClient> {
    const clientId = `${username.replace('/', '-')}-${this.run}`
    const { client, code } = await this.attempt({ username, password: Buffer.from('s'), clientId, ...connect })
    if (code !== 0) throw new Error(`${username} is not let in: ${code}`)
    return client
  }

  /** Who may do everything, and does what others must not see. */
  async admin(): Promise<PacketClient> {
    if (this.#admin === undefined) {
      this.#admin = await this.client('app', { clientId: `admin-${this.run}` })
      await this.#admin.subscribe(['fence', 1])
    }
    return this.#admin
  }

  /** Resolves when what was published before has gone wherever it goes, and `reader` has what it got of that. */
  async fence(reader?: PacketClient): Promise<void> {
    const admin = await this.admin()
    const seen = admin.messages.length
    await admin.publish('fence', 'x')
    await admin.until(() => admin.messages.slice(seen).some(({ topic }) => topic === 'fence'))
    if (reader === undefined) return
    const pings = reader.packets.filter(({ cmd }) => cmd === 'pingresp').length
    reader.send({ cmd: 'pingreq' })
    await reader.until(() => reader.packets.filter(({ cmd }) => cmd === 'pingresp').length > pings)
  }

  /** The secrets that it has. */
  leaks(client: PacketClient): Breaches {
    return client.messages.filter((it) => it.payload.toString() === this.secret).map((it) => `got ${it.topic}`)
  }
}

/** `allow publish house/#` */
function rule(text: string): AclRule {
  const [effect, action, ...topic] = text.split(' ')
  return { effect: effect as AclRule['effect'], action: action as AclRule['action'], topic: topic.join(' ') }
}

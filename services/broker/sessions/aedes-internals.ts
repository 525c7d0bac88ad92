import type { Readable } from 'node:stream'
import { Aedes, type AedesOptions, type Client, type PublishPacket, type Subscription } from 'aedes'
import type { WithProperties } from './payload-properties.ts'

/**
 * All that sessions/ uses of aedes and aedes does not declare: members that are read, set or replaced. Nothing else casts
 * to get at aedes' inside; test/unit/services/broker/sessions/aedes-upgrade.test.ts holds it against the aedes that is
 * installed.
 */

/** What aedes asks about messages and subscriptions. */
export type AedesHooks = AedesOptions

/** A subscription of a live client, by its filter. */
export interface LiveSubscription {
  readonly qos: 0 | 1 | 2
  readonly rap?: boolean | undefined
}

/** aedes' client, with what it does not declare. */
export interface AedesInternals {
  readonly subscriptions: Readonly<Record<string, LiveSubscription>>
  /** It is let in, and was given what its session kept. */
  readonly connected: boolean
  /** Where it is false aedes asks its storage about each message that it sends and that is acknowledged. */
  clean: boolean
  readonly broker: { readonly clients: Readonly<Record<string, Client | undefined>> }
  /** The very packet that aedes asks about when the will is to be published. */
  readonly will: PublishPacket | null | undefined
  /** Emits each packet once, in the order of the bytes, before aedes handles it. */
  readonly _parser: { prependListener(event: 'packet', listener: (packet: ParsedPacket) => void): void }
  /** The id that the next message to the client gets. */
  _nextId: number
  deliverQoS(packet: unknown, done: () => void): void
  /** What a subscription at QoS 0 calls, as it is when the subscription is made. */
  deliver0: (packet: PublishPacket, done: () => void) => void
}

/** The client with all its members. */
export function internalsOf(client: Client): Client & AedesInternals {
  return client as Client & AedesInternals
}

/** A packet as aedes' parser reads it; `length` is the remaining length. */
export type ParsedPacket = { cmd: string; readonly length?: number } & (
  | ({ cmd: 'publish' } & WithProperties)
  | { cmd: 'connect'; will?: WithProperties }
  | { cmd: 'subscribe'; subscriptions: SubscriptionOptions[] }
  | { cmd: 'unsubscribe' }
)

/** Options of MQTT 5, which aedes keeps with a subscription when somebody sets them. */
export interface SubscriptionOptions {
  nl?: boolean
  rap?: boolean
  rh?: number
}

export type SubscriptionWithOptions = Subscription & SubscriptionOptions

/** A packet of aedes with the number under which its message is stored. */
export type Stamped = PublishPacket & { brokerId?: string; brokerCounter?: number }

/** How aedes stores what outlives a connection; the part that is called or replaced here. */
export interface Persistence {
  /** Rejects when the message is not known. */
  incomingGetPacket(client: Client, packet: Waiting): Promise<unknown>
  /** A message gets its id, or its PUBREC has come (`pubrel`). Rejects when the message is not known. */
  outgoingUpdate(client: { id: string }, packet: Waiting): Promise<void>
  createRetainedStreamCombi(filters: readonly string[]): Readable
  addSubscriptions(client: Client, subscriptions: { topic: string }[]): Promise<void>
}

/** A message that waits for its client, or the PUBREL that has taken its place. */
export interface Waiting {
  readonly cmd?: string
  readonly messageId?: number | undefined
}

const { registerClient } = Aedes.prototype as Aedes & { registerClient(client: Client): void }

/** aedes registers a client at the end of its CONNECT even when it was closed meanwhile, and never forgets it then. */
export class LiveAedes extends Aedes {
  declare readonly persistence: Persistence
  declare readonly clients: Readonly<Record<string, Client & AedesInternals>>

  registerClient(client: Client): void {
    if (!client.closed) registerClient.call(this, client)
  }

  /** An error of its storage. */
  onError(listener: (error: unknown) => void): void {
    this.on('error' as 'closed', listener as () => void)
  }
}

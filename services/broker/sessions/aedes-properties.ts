import { Readable } from 'node:stream'
import { isShare } from '../../../shared/shared-subscription.ts'
import type { Aedes, Client } from 'aedes'
import {
  internalsOf,
  type Persistence,
  type SubscriptionOptions,
  type SubscriptionWithOptions,
} from './aedes-internals.ts'
import { AedesStream } from './aedes-stream.ts'
import type { PropertiesByPayload, WithProperties } from './payload-properties.ts'
import type { Invariants } from '../invariants.ts'
import type { RequestedFilter } from '../mqtt/subscribe.ts'

/**
 * What aedes is told past its parser, which reads MQTT 3.1.1: properties of messages, and the options of subscriptions.
 * aedes has places for both and keeps them with its packets and subscriptions; only this fills them.
 */

/** Has each packet that aedes reads from the client completed by its {@link Mqtt5Extras}. */
export function completePackets(client: Client, invariants: Pick<Invariants, 'broken'>): void {
  const { conn } = client
  if (!(conn instanceof AedesStream)) return
  const { _parser, subscriptions } = internalsOf(client)
  _parser.prependListener('packet', (packet) => {
    const extras = conn.takeExtras(packet)
    if (extras === undefined) return
    if (extras === 'disordered') {
      // aedes handles no packet of this name; its client gets no answer, and sends it again.
      const renamed: { cmd: string } = packet
      renamed.cmd = 'disordered'
      return void conn.destroy(invariants.broken('aedes_packet_order', conn.owner.principal.name))
    }
    if (packet.cmd === 'publish') setProperties(packet, extras.properties)
    else if (packet.cmd === 'connect') setProperties(packet.will, extras.properties)
    else if (packet.cmd === 'subscribe') setOptions(packet.subscriptions, extras.filters)
    else extras.unsubscribes?.((filter) => Object.hasOwn(subscriptions, filter))
  })
}

/**
 * Retained messages as the subscription wants them [MQTT-3.3.1-9 to 11], with their properties. aedes gives them to
 * every SUBSCRIBE: in one turn it tells of the subscriptions and asks for the messages.
 */
export function replayRetained(
  aedes: Aedes,
  source: Pick<Persistence, 'createRetainedStreamCombi'>,
  properties: PropertiesByPayload,
): void {
  let unwanted: ReadonlySet<string> = new Set()
  aedes.on('subscribe', (subscriptions) => {
    unwanted = new Set(subscriptions.filter(wantsNone).map(({ topic }) => topic))
  })
  const create = source.createRetainedStreamCombi.bind(source)
  source.createRetainedStreamCombi = (filters) => {
    // To a member of a group none are sent [MQTT 5.0, 4.8.2].
    const wanted = filters.filter((filter) => !unwanted.has(filter) && !isShare(filter))
    unwanted = new Set()
    if (wanted.length === 0) return Readable.from([])
    return create(wanted).map((packet: WithProperties) => {
      properties.note(packet)
      return packet
    })
  }
}

/** Retain handling 1: not when the subscription exists. To be asked before it does. */
export function noteExisting(client: Client, subscription: SubscriptionWithOptions): void {
  if (subscription.rh === 1 && Object.hasOwn(internalsOf(client).subscriptions, subscription.topic)) {
    subscription.rh = 2
  }
}

function wantsNone(subscription: SubscriptionWithOptions): boolean {
  return subscription.rh === 2
}

function setProperties(packet: WithProperties | undefined, properties: WithProperties['properties']): void {
  if (packet !== undefined && properties !== undefined) packet.properties = properties
}

function setOptions(subscriptions: SubscriptionOptions[], filters: readonly RequestedFilter[] | undefined): void {
  for (const [index, subscription] of subscriptions.entries()) {
    const filter = filters?.[index]
    if (filter === undefined) continue
    subscription.nl = filter.noLocal
    subscription.rap = filter.retainAsPublished
    subscription.rh = filter.retainHandling
  }
}

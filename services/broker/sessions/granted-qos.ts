import type { Client } from 'aedes'
import { filterBehind } from '../../../shared/shared-subscription.ts'
import { matches } from '../../../shared/topic-filter.ts'
import { internalsOf } from './aedes-internals.ts'

/**
 * The quality at which a client gets a message: that of the message, or the highest that its matching subscriptions were
 * granted [MQTT-3.8.4-6]. aedes looks only for a subscription to the very topic.
 */
export function grantedQos(client: Client, topic: string, qos: 0 | 1 | 2): 0 | 1 | 2 {
  const { subscriptions } = internalsOf(client)
  let highest: 0 | 1 | 2 | undefined
  for (const filter in subscriptions) {
    const granted = subscriptions[filter]?.qos
    if (granted === undefined || (highest !== undefined && granted <= highest) || !matches(filterBehind(filter), topic))
      continue
    if (granted >= qos) return qos
    highest = granted
  }
  // A message that was stored for a subscription which is no more.
  return highest ?? qos
}

/** Whether a subscription that matches wants the retain flag as published. */
export function wantsRetain(client: Client, topic: string): boolean {
  const { subscriptions } = internalsOf(client)
  return Object.entries(subscriptions).some(([filter, { rap }]) => rap === true && matches(filterBehind(filter), topic))
}

/**
 * aedes delivers at QoS 0 what the first matching subscription has at 0, although another has more. From now on the
 * client gets it as from the other.
 */
export function raiseQos(client: Client): void {
  const internals = internalsOf(client)
  const atZero = internals.deliver0.bind(client)
  internals.deliver0 = (packet, done) => {
    const isMore = packet.qos > 0 && grantedQos(client, packet.topic, packet.qos) > 0
    if (isMore) internals.deliverQoS(packet, done)
    else atZero(packet, done)
  }
}

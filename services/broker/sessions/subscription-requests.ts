import type { Mqtt5Extras } from './aedes-stream.ts'
import type { Protocol } from '../mqtt/protocol.ts'
import { isTelemetryOnly } from '../telemetry/subscription-interest.ts'
import { encodePacket, encodeText } from '../../../shared/mqtt/encoding.ts'
import { bodyOf, Type } from '../mqtt/packets.ts'
import type { RequestedFilter, SubscribePacket, UnsubscribePacket } from '../mqtt/subscribe.ts'
import { filterBehind, isSubscription } from '../../../shared/shared-subscription.ts'

/** A SUBSCRIBE or UNSUBSCRIBE on its way through aedes, and what of the answer is known. */
export interface PendingRequest {
  /** What aedes gets; undefined when nothing is left to ask. */
  readonly packet: Buffer | undefined
  readonly extras: Mqtt5Extras
  /** The whole answer, from what aedes wrote (or without). */
  answer(fromAedes: Buffer | undefined): Buffer
}

/**
 * A SUBSCRIBE for aedes without the filters that are refused here, each filter once (aedes answers a repeated one only
 * once), and telemetry at QoS 0, which SUBACK says. `isOverQuota` is asked of what aedes refused.
 */
export function requestSubscribe(
  protocol: Protocol,
  { id, filters }: SubscribePacket,
  isOverQuota: (filter: string) => boolean,
): PendingRequest {
  const asked = new Map<string, RequestedFilter>()
  for (const filter of filters) if (filter.obstacle === undefined) asked.set(filter.filter, filter)
  const places = new Map([...asked.keys()].map((filter, place) => [filter, place]))
  const options = [...asked.values()]
  const parts = options.flatMap(({ filter, qos }) => [
    encodeText(filter),
    Buffer.from([isTelemetryOnly(filterBehind(filter)) ? 0 : qos]),
  ])
  return {
    packet: options.length === 0 ? undefined : encodePacket(0x82, idBytes(id), ...parts),
    extras: { filters: options },
    answer(fromAedes) {
      const granted = fromAedes === undefined ? [] : [...fromAedes.subarray(bodyOf(fromAedes) + 2)]
      const codes = filters.map(({ filter, obstacle }) => {
        const code = granted[places.get(filter) ?? -1] ?? FAILURE
        if (obstacle === undefined && code < FAILURE) return code
        return protocol.refuseFilter(obstacle ?? (isOverQuota(filter) ? 'quota' : undefined))
      })
      return protocol.suback(id, codes)
    },
  }
}

/** An UNSUBSCRIBE for aedes without filters that cannot have been subscribed to. */
export function requestUnsubscribe(protocol: Protocol, { id, filters }: UnsubscribePacket): PendingRequest {
  const asked = filters.filter(isSubscription)
  let known = new Set<string>()
  return {
    packet: asked.length === 0 ? undefined : encodePacket(0xa2, idBytes(id), ...asked.map(encodeText)),
    extras: {
      unsubscribes(isSubscribed) {
        known = new Set(asked.filter(isSubscribed))
      },
    },
    answer: () =>
      protocol.unsuback(
        id,
        filters.map((filter) => (known.delete(filter) ? SUCCESS : NO_SUBSCRIPTION_EXISTED)),
      ),
  }
}

const SUCCESS = 0
/** In MQTT 5. */
const NO_SUBSCRIPTION_EXISTED = 0x11
const FAILURE = 0x80

export function isAnswer(type: number): boolean {
  return type === Type.suback || type === Type.unsuback
}

function idBytes(id: number): Buffer {
  return Buffer.from([id >> 8, id & 0xff])
}

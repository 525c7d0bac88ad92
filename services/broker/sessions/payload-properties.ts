import type { MessageProperties } from '../../../shared/mqtt/message-properties.ts'

/**
 * Properties of MQTT 5 on their way through aedes, which does not know them. They travel on its packets as `properties`,
 * which aedes copies and its persistence stores, and are found again on the way out by the payload: aedes hands the same
 * Buffer from hand to hand, but writes packets of 3.1.1.
 */

/** A packet of aedes that may carry them. */
export interface WithProperties {
  readonly payload: string | Buffer
  properties?: MessageProperties
}

/** Which payloads are of messages with properties, on one node. Holds nothing that aedes does not hold. */
export class PropertiesByPayload {
  readonly #known = new WeakMap<Buffer, MessageProperties>()

  /** Notes the properties that a packet carries; returns them, or those known of its payload. */
  note({ payload, properties }: WithProperties): MessageProperties | undefined {
    if (typeof payload === 'string') return properties
    if (properties === undefined) return this.#known.get(payload)
    this.#known.set(payload, properties)
    return properties
  }

  find(payload: Buffer): MessageProperties | undefined {
    return this.#known.get(payload)
  }
}

/** A packet of aedes, whose own idea of properties is another, and which fills none. */
export function withProperties(packet: { readonly payload: string | Buffer }): WithProperties {
  return packet
}

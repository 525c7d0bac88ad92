/**
 * What a message of MQTT 5 brings besides its topic and payload, on its way through aedes, which does not know it. It
 * rides on aedes' packets as `properties`, which aedes copies and its persistence stores, and is found again at the way
 * out by the payload: aedes hands the same bytes from hand to hand, but writes packets of 3.1.1.
 */
export interface MessageProperties {
  /** Properties as they came, but for the topic alias and the expiry. */
  readonly bytes: Buffer
  /** Milliseconds since 1970; undefined = never. */
  readonly expiresAt: number | undefined
  /** Of a will, in seconds: how long it waits for its client, and how long it lives from when it is published. */
  readonly will?: { readonly delay: number; readonly expiry: number | undefined }
}

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

/** A packet of aedes, whose own idea of properties is another: nobody but us fills them. */
export function withProperties(packet: { readonly payload: string | Buffer }): WithProperties {
  return packet
}

/** A message to be kept. */
export interface KeptMessage {
  readonly topic: string
  readonly payload: string | Buffer
  readonly properties?: MessageProperties | undefined
}

/** Bytes that it is counted for where it is kept. */
export function sizeOf({ topic, payload, properties }: KeptMessage): number {
  return Buffer.byteLength(topic) + Buffer.byteLength(payload) + (properties?.bytes.length ?? 0)
}

export function isExpired({ expiresAt }: MessageProperties, now: number): boolean {
  return expiresAt !== undefined && expiresAt <= now
}

/** Seconds that a will waits for its client; 0 for any other message. */
export function willDelayOf({ properties }: { readonly properties?: MessageProperties | undefined }): number {
  return properties?.will?.delay ?? 0
}

/** Of a will that is published now: it lives from then on [MQTT 5.0, 3.1.3.2.4]. */
export function fromNowOn({ bytes, will }: MessageProperties): MessageProperties {
  return { bytes, expiresAt: will?.expiry === undefined ? undefined : Date.now() + will.expiry * 1000 }
}

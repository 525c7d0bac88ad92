/** What a message of MQTT 5 has besides its topic and payload. */
export interface MessageProperties {
  /** Properties as they came, but for the topic alias and the expiry. */
  readonly bytes: Buffer
  /** Milliseconds since 1970; undefined = never. */
  readonly expiresAt: number | undefined
  /** Of a will, in seconds: how long it waits for its client, and how long it lives from when it is published. */
  readonly will?: { readonly delay: number; readonly expiry: number | undefined }
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

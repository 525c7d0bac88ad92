export interface Disconnect {
  readonly detail: string
  /** CONNACK code with which the broker turned the client away. */
  readonly refusal: number | undefined
  readonly wasOnline: boolean
}

/** What a client reports; `device` is the number it was made with. */
export interface LoadEvents {
  /** First copies only. */
  sent(device: number, sequence: number): void
  /** PUBACK, or PUBREC at QoS 2: from here on the broker answers for the message. `sentAt` is that of the first copy. */
  acknowledged(device: number, sequence: number, sentAt: number, now: number): void
  resent(device: number): void
  connected(device: number): void
  /** The connection is gone, or was not made; the owner decides when to connect again. */
  disconnected(device: number, reason: Disconnect): void
}

/** MQTT 3.1.1 packets of clients that a benchmark of broker nodes needs. */

export function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes])
}

/** A packet of less than 16 KB. */
export function packet(header: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const length = body.length < 128 ? [body.length] : [(body.length & 0x7f) | 0x80, body.length >> 7]
  return Buffer.concat([Buffer.from([header, ...length]), body])
}

/** Logs in with the secret `s` and a client id of the login's name. */
export function connectPacket(username: string, clean = true): Buffer {
  const head = Buffer.concat([text('MQTT'), Buffer.from([4, clean ? 0xc2 : 0xc0, 0, 0])])
  return packet(0x10, head, text(username.replace('/', '-')), text(username), text('s'))
}

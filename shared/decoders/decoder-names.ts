/** Decoders that Sluice has itself, and what each reads, for a person. */
export const DECODERS = {
  auto: 'JSON, else line protocol, else one line of text',
  json: 'JSON',
  senml: 'a SenML pack (RFC 8428), in JSON or CBOR',
  line_protocol: 'lines of Influx line protocol',
  plain: 'one value, or one line of text',
  cbor: 'CBOR (RFC 8949)',
  messagepack: 'MessagePack',
  csv: 'CSV: a reading for each line',
  sparkplug_b: 'payloads of Sparkplug B',
} as const

export type DecoderName = keyof typeof DECODERS

export const DECODER_NAMES = Object.keys(DECODERS) as DecoderName[]

/** Those of texts, which are decoded in no time. */
const TEXT: ReadonlySet<string> = new Set<DecoderName>(['auto', 'json', 'line_protocol', 'plain'])

/** Of decoders that were uploaded: what they are made of, and which. */
const UPLOADED = /^(?:codec|protobuf):[A-Za-z0-9._@-]{1,128}$/

/** True for a name that a decoder may have; whether one of that name was uploaded is not known here. */
export function isDecoderName(name: string): boolean {
  return DECODER_NAMES.some((one) => one === name) || isUploadedName(name)
}

/** True for a decoder of texts alone, which costs what JSON does. */
export function isTextDecoder(name: string): boolean {
  return TEXT.has(name)
}

/** True for the name of a decoder that somebody has to have uploaded. */
export function isUploadedName(name: string): boolean {
  return UPLOADED.test(name)
}

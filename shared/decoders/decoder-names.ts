/** Decoders that Sluice has itself. `auto`: JSON, else line protocol, else one line of text. */
export const DECODER_NAMES = ['auto', 'json', 'senml', 'line_protocol', 'plain', 'cbor', 'messagepack', 'csv'] as const

export type DecoderName = (typeof DECODER_NAMES)[number]

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

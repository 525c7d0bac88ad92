/** Decoders that Sluice has itself. `auto`: JSON, else line protocol, else one line of text. */
export const DECODER_NAMES = ['auto', 'json', 'senml', 'line_protocol', 'plain'] as const

export type DecoderName = (typeof DECODER_NAMES)[number]

/** Of decoders that were uploaded: what they are made of, and which. */
const UPLOADED = /^(?:codec|protobuf):[A-Za-z0-9._@-]{1,128}$/

/** True for a name that a decoder may have; whether one of that name was uploaded is not known here. */
export function isDecoderName(name: string): boolean {
  return DECODER_NAMES.some((one) => one === name) || isUploadedName(name)
}

/** True for the name of a decoder that somebody has to have uploaded. */
export function isUploadedName(name: string): boolean {
  return UPLOADED.test(name)
}

import type { PolicyDocument } from './document.ts'
import type { PolicySettings } from './settings.ts'

/** An uploaded decoder as a policy names it: `codec:door`, or with its content `codec:door@0123456789abcdef`. */
export interface UploadedName {
  /** As it was written. */
  readonly text: string
  readonly kind: string
  readonly name: string
  /** See `idOfDefinition`. */
  readonly id: string | undefined
}

/** Undefined for a decoder that nobody uploads. */
export function parseUploadedName(text: string): UploadedName | undefined {
  const [, kind, name, id] = /^(codec|protobuf):([^@]+)(?:@([0-9a-f]{16}))?$/.exec(text) ?? []
  return kind === undefined || name === undefined ? undefined : { text, kind, name, id }
}

export function formatUploadedName({ kind, name }: Pick<UploadedName, 'kind' | 'name'>, id: string): string {
  return `${kind}:${name}@${id}`
}

/** The uploaded decoders that a document names, each once. */
export function uploadedNamesOf({ streams = {}, ...own }: PolicyDocument): readonly UploadedName[] {
  const names = [own, ...Object.values(streams)].flatMap(({ decoder }) => decoder ?? [])
  return [...new Set(names)].flatMap((one) => parseUploadedName(one) ?? [])
}

/** The document with other names for the decoders that were uploaded. */
export function withUploadedNames(document: PolicyDocument, rename: (name: UploadedName) => string): PolicyDocument {
  const renamed = <S extends PolicySettings>(settings: S): S => {
    const parsed = settings.decoder === undefined ? undefined : parseUploadedName(settings.decoder)
    return parsed === undefined ? settings : { ...settings, decoder: rename(parsed) }
  }
  const { streams } = document
  if (streams === undefined) return renamed(document)
  const parts = Object.entries(streams).map(([stream, one]) => [stream, renamed(one)] as const)
  return { ...renamed(document), streams: Object.fromEntries(parts) }
}

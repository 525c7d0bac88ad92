import Type, { type Static } from 'typebox'
import Value from 'typebox/value'
import { SluiceError } from '../errors.ts'

/** Of the file; a higher one was written by a newer Sluice. */
export const BACKUP_FORMAT = 1
/** Of its manifest in JSON, about 150 bytes a part: a bound for whoever reads it. */
export const MAX_MANIFEST_BYTES = 64 * 1024 * 1024

/** A path within the folder that cannot leave it, and is nobody's hidden file. */
const NAME = String.raw`^(?:[A-Za-z0-9_%][A-Za-z0-9_.%-]*/){0,6}[A-Za-z0-9_%][A-Za-z0-9_.%-]*$`

const Part = Type.Object({
  name: Type.String({ pattern: NAME, maxLength: 1_024 }),
  bytes: Type.Integer({ minimum: 0 }),
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
})

/** What a backup holds: the first section of its file. */
export const Manifest = Type.Object({
  format: Type.Integer({ minimum: 1 }),
  /** When it was begun, RFC 3339: everything that was acknowledged before is in it. */
  made: Type.String(),
  /** Version of the Sluice that made it. */
  sluice: Type.String(),
  deployment: Type.Literal('standalone'),
  /** Of the stores. */
  formats: Type.Record(Type.String(), Type.Integer()),
  tenants: Type.Array(Type.String()),
  /** In the order in which they lie in the file. */
  parts: Type.Array(Part),
})

export type BackupPart = Static<typeof Part>
export type BackupManifest = Static<typeof Manifest>

/** Error: `backup_unreadable`. */
export function parseManifest(bytes: Uint8Array): BackupManifest {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
    if (Value.Check(Manifest, value) && new Set(value.parts.map(({ name }) => name)).size === value.parts.length) {
      return value
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw new SluiceError('backup_unreadable', 'the manifest of the backup is not one that this Sluice knows')
}

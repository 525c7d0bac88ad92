import { createHash } from 'node:crypto'
import { createReadStream, readdirSync, statSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { pipeline, Readable } from 'node:stream'
import { createZstdCompress } from 'node:zlib'
import { CHUNK_BYTES, SectionChunks, type FileSeal } from './chunks.ts'
import { newEnvelope, type Recipients } from './envelope.ts'
import { BACKUP_FORMAT, type BackupManifest, type BackupPart } from './manifest.ts'

export const MAGIC = Buffer.from('SLUICEBK')
/** Magic, format, and the length of the header behind them. */
export const START_BYTES = MAGIC.length + 1 + 4
/** In the length of a chunk: it is the last one of its section. */
export const LAST = 0x8000_0000
export const LENGTH_BYTES = 4

const READ_BYTES = 256 * 1024

/** What a manifest says beside its parts. */
export type About = Omit<BackupManifest, 'format' | 'parts'>

/**
 * The bytes of a backup of all files below a folder, which nobody changes meanwhile. What it holds in memory is a few chunks
 * and the list of the files. Throws what the file system says, and `bad_request` of recipients.
 */
export async function* writeBackup(
  folder: string,
  about: About,
  recipients: Recipients,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { header, key } = newEnvelope(recipients)
  const start = startOf(Buffer.from(JSON.stringify(header)))
  const seal: FileSeal = { key, head: createHash('sha256').update(start).digest() }
  const parts: BackupPart[] = []
  for (const name of filesBelow(folder)) parts.push(await partOf(folder, name))
  const manifest: BackupManifest = { format: BACKUP_FORMAT, ...about, parts }
  yield start
  yield* section(Readable.from([Buffer.from(JSON.stringify(manifest))]), new SectionChunks(seal, 0))
  for (const [index, { name }] of parts.entries()) {
    yield* section(reading(join(folder, name)), new SectionChunks(seal, index + 1))
  }
}

function startOf(header: Buffer): Buffer {
  const start = Buffer.alloc(START_BYTES)
  MAGIC.copy(start)
  start[MAGIC.length] = BACKUP_FORMAT
  start.writeUInt32BE(header.length, MAGIC.length + 1)
  return Buffer.concat([start, header])
}

/** Compressed first: what is encrypted cannot be. */
async function* section(source: Readable, chunks: SectionChunks): AsyncGenerator<Uint8Array, void, undefined> {
  const write = (bytes: Uint8Array, isLast: boolean): Buffer => {
    const { sealed, tag } = chunks.seal(bytes, isLast)
    const length = Buffer.alloc(LENGTH_BYTES)
    length.writeUInt32BE((sealed.length | (isLast ? LAST : 0)) >>> 0)
    return Buffer.concat([length, sealed, tag])
  }
  // Whoever reads the last stream is told of the error of each.
  const compressed = pipeline(source, createZstdCompress(), () => undefined)
  let rest: Buffer = Buffer.alloc(0)
  for await (const bytes of compressed as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
    // The last chunk is known only when there is nothing behind it.
    while (rest.length > CHUNK_BYTES) {
      yield write(rest.subarray(0, CHUNK_BYTES), false)
      rest = rest.subarray(CHUNK_BYTES)
    }
  }
  yield write(rest, true)
}

async function partOf(folder: string, name: string): Promise<BackupPart> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const piece of reading(join(folder, name)) as AsyncIterable<Buffer>) {
    hash.update(piece)
    bytes += piece.length
  }
  return { name, bytes, sha256: hash.digest('hex') }
}

function reading(file: string): Readable {
  return createReadStream(file, { highWaterMark: READ_BYTES })
}

/** Their paths within the folder, with `/`. */
function filesBelow(folder: string): string[] {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name))
  const files = paths.filter((path) => statSync(path).isFile())
  return files.map((path) => relative(folder, path).split(sep).join('/')).sort()
}

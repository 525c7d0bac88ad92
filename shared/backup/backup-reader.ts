import { createHash, type KeyObject } from 'node:crypto'
import { open, type FileHandle } from 'node:fs/promises'
import { pipeline, Readable } from 'node:stream'
import { createZstdDecompress } from 'node:zlib'
import { SluiceError, toSluiceError } from '../errors.ts'
import { LAST, LENGTH_BYTES, MAGIC, START_BYTES } from './backup-writer.ts'
import { CHUNK_BYTES, SectionChunks, TAG_BYTES, type FileSeal } from './chunks.ts'
import { keyOf, parseHeader } from './envelope.ts'
import { BACKUP_FORMAT, MAX_MANIFEST_BYTES, parseManifest, type BackupManifest, type BackupPart } from './manifest.ts'

/** More than any header of format 1 has. */
const MAX_HEADER_BYTES = 64 * 1024

/** Takes the content of a part as it comes; it counts only when the whole backup was read without an error. */
export type TakePart = (part: BackupPart, content: AsyncIterable<Uint8Array>) => Promise<void>

/** What is behind each part as whoever only checks takes it. */
export const onlyCheck: TakePart = async (_part, content) => {
  for await (const _piece of content) continue
}

/**
 * Reads a backup from its first to its last byte, compares all of it with its checksums and with its manifest, and resolves
 * with that. `begin` is told what it holds before its parts come. Errors: `backup_unreadable`, which says what is wrong;
 * `data_newer`; what `begin` and `take` throw.
 */
export async function readBackup(
  file: string,
  identity: KeyObject | undefined,
  take: TakePart,
  begin: (manifest: BackupManifest) => void = () => {},
): Promise<BackupManifest> {
  const source = await BackupSource.open(file)
  try {
    const seal = await sealOf(source, identity)
    const manifest = parseManifest(await manifestBytes(source, seal))
    begin(manifest)
    for (const [index, part] of manifest.parts.entries()) {
      await readPart(part, content(source, new SectionChunks(seal, index + 1), part.name, part.bytes), take)
    }
    await source.checkEnd()
    return manifest
  } finally {
    await source.close()
  }
}

async function sealOf(source: BackupSource, identity: KeyObject | undefined): Promise<FileSeal> {
  const start = await source.take(START_BYTES)
  if (!start.subarray(0, MAGIC.length).equals(MAGIC)) throw unreadable('it does not begin like a backup of Sluice')
  const format = start[MAGIC.length] ?? 0
  if (format > BACKUP_FORMAT) {
    throw new SluiceError('data_newer', `the backup has format ${format}, this Sluice knows ${BACKUP_FORMAT}`)
  }
  const length = start.readUInt32BE(MAGIC.length + 1)
  if (format < 1 || length > MAX_HEADER_BYTES) throw unreadable('its header is damaged')
  const header = await source.take(length)
  const head = createHash('sha256').update(start).update(header).digest()
  return { key: keyOf(parseHeader(header), identity), head }
}

async function manifestBytes(source: BackupSource, seal: FileSeal): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  const chunks = new SectionChunks(seal, 0)
  for await (const piece of content(source, chunks, 'the manifest', MAX_MANIFEST_BYTES)) pieces.push(piece)
  return Buffer.concat(pieces)
}

async function readPart(part: BackupPart, bytes: AsyncIterable<Uint8Array>, take: TakePart): Promise<void> {
  const hash = createHash('sha256')
  let length = 0
  await take(part, counted())
  async function* counted() {
    for await (const piece of bytes) {
      hash.update(piece)
      length += piece.length
      yield piece
    }
  }
  if (length === part.bytes && hash.digest('hex') === part.sha256) return
  throw unreadable(`${part.name} is not what the manifest says`)
}

/** What a section holds, up to `most` bytes; all of it was compared when it ends. */
async function* content(
  source: BackupSource,
  chunks: SectionChunks,
  what: string,
  most: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const opened = Readable.from(openedChunks(source, chunks, what), { objectMode: false })
  // Whoever reads the last stream is told of the error of each.
  const pieces = pipeline(opened, createZstdDecompress(), () => undefined)
  let length = 0
  try {
    for await (const piece of pieces as AsyncIterable<Buffer>) {
      length += piece.length
      if (length > most) throw unreadable(`${what} is longer than it should be`)
      yield piece
    }
  } catch (error) {
    const { code, message } = toSluiceError(error, 'backup_unreadable')
    if (code !== 'backup_unreadable' || error instanceof SluiceError) throw error
    throw unreadable(`${what} cannot be unpacked: ${message}`)
  }
}

async function* openedChunks(source: BackupSource, chunks: SectionChunks, what: string) {
  for (let isLast = false; !isLast;) {
    const length = (await source.take(LENGTH_BYTES)).readUInt32BE()
    isLast = length >= LAST
    const size = isLast ? length - LAST : length
    if (size > CHUNK_BYTES || (!isLast && size < CHUNK_BYTES)) throw unreadable(`a length in ${what} is damaged`)
    const sealed = await source.take(size)
    const bytes = chunks.open(sealed, await source.take(TAG_BYTES), isLast)
    if (bytes === undefined) throw unreadable(`${what} is damaged, or was changed`)
    // A stream ends at an empty piece that is none of an object.
    if (bytes.length > 0) yield bytes
  }
}

/** A file from its beginning to its end. */
class BackupSource {
  readonly #handle: FileHandle
  #at = 0

  static async open(file: string): Promise<BackupSource> {
    try {
      return new BackupSource(await open(file, 'r'))
    } catch (error) {
      throw new SluiceError('not_found', `the backup cannot be opened: ${toSluiceError(error).message}`, {
        cause: error,
      })
    }
  }

  private constructor(handle: FileHandle) {
    this.#handle = handle
  }

  /** The next bytes. Error: `backup_unreadable` when there are less. */
  async take(length: number): Promise<Buffer> {
    const buffer = Buffer.alloc(length)
    for (let filled = 0; filled < length;) {
      const { bytesRead } = await this.#handle.read(buffer, filled, length - filled, this.#at + filled)
      if (bytesRead === 0) throw unreadable('it ends too early')
      filled += bytesRead
    }
    this.#at += length
    return buffer
  }

  async checkEnd(): Promise<void> {
    const { bytesRead } = await this.#handle.read(Buffer.alloc(1), 0, 1, this.#at)
    if (bytesRead > 0) throw unreadable('there is something behind its end')
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}

function unreadable(what: string): SluiceError {
  return new SluiceError('backup_unreadable', `the backup cannot be used: ${what}`)
}

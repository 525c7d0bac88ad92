import { randomBytes, type KeyObject } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { onlyCheck, readBackup, type TakePart } from '../../../../shared/backup/backup-reader.ts'
import { writeBackup } from '../../../../shared/backup/backup-writer.ts'
import { CHUNK_BYTES } from '../../../../shared/backup/chunks.ts'
import { newKeys, type Recipients } from '../../../../shared/backup/envelope.ts'
import { toSluiceError } from '../../../../shared/errors.ts'
import { tempFolder } from '../../../helpers.ts'

const ABOUT = {
  made: '2026-01-31T12:00:00.000Z',
  sluice: '1.2.3',
  deployment: 'standalone' as const,
  formats: { log: 2 },
  tenants: ['acme'],
}

/** What is hard to compress fills whole chunks, and one more, and none. */
const FILES: Readonly<Record<string, Buffer>> = {
  'log/empty.sqlite': Buffer.alloc(0),
  'log/one.sqlite': Buffer.from('a'),
  'points/chunks/1/2026-01.db': randomBytes(3 * CHUNK_BYTES + 7),
  'registry.db': Buffer.concat([Buffer.alloc(200_000), randomBytes(10)]),
}

async function backupOf(recipients: Recipients): Promise<Buffer> {
  const folder = tempFolder()
  for (const [name, bytes] of Object.entries(FILES)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), bytes)
  }
  return buffer(writeBackup(folder, ABOUT, recipients))
}

async function read(bytes: Uint8Array, identity: KeyObject | undefined, take: TakePart = onlyCheck) {
  const file = join(tempFolder(), 'backup')
  writeFileSync(file, bytes)
  return readBackup(file, identity, take)
}

/** A first byte that is another one may be that of a later format. */
const REFUSED = /^(backup_unreadable|data_newer)$/

const codeOf = (reading: Promise<unknown>): Promise<string> =>
  reading.then(
    () => 'whole',
    (error: unknown) => toSluiceError(error).code,
  )

const [own, other] = [newKeys(), newKeys()]
const ways = [
  { way: 'plain', recipients: [], identity: undefined },
  { way: 'encrypted', recipients: [other.publicKey, own.publicKey], identity: own.privateKey },
]

describe.for(ways)('a backup that is $way', ({ recipients, identity }) => {
  it('gives back what went in, part by part', async () => {
    const found: Record<string, Buffer> = {}
    const manifest = await read(await backupOf(recipients), identity, async ({ name }, content) => {
      found[name] = await buffer(content)
    })
    expect(found).toEqual(FILES)
    expect(manifest).toMatchObject({ format: 1, ...ABOUT })
    expect(manifest.parts.map(({ name, bytes }) => [name, bytes])).toEqual(
      Object.entries(FILES).map(([name, { length }]) => [name, length]),
    )
  })

  it('tells of a flipped bit wherever it is', async () => {
    const whole = await backupOf(recipients)
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.nat(7), async (at, bit) => {
        const flipped = Buffer.from(whole)
        flipped[at] = (flipped[at] ?? 0) ^ (1 << bit)
        expect(await codeOf(read(flipped, identity))).toMatch(REFUSED)
      }),
      // The first bytes, which say how all others are read, are all tried.
      { numRuns: 150, examples: Array.from({ length: 30 }, (_, at): [number, number] => [at, at % 8]) },
    )
  })

  it('tells of a cut, of what follows its end, and of a stretch that is missing', async () => {
    const whole = await backupOf(recipients)
    const tell = async (bytes: Uint8Array) => expect(await codeOf(read(bytes, identity))).toMatch(REFUSED)
    await tell(Buffer.concat([whole, Buffer.alloc(1)]))
    await tell(Buffer.alloc(0))
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 2 * CHUNK_BYTES }), async (at, length) => {
        await tell(whole.subarray(0, at))
        await tell(Buffer.concat([whole.subarray(0, at), whole.subarray(at + length)]))
      }),
      { numRuns: 60, examples: [[whole.length - 1, 1]] },
    )
  })

  it('tells of chunks that change places', async () => {
    const whole = await backupOf(recipients)
    // Three full chunks lie one behind the other.
    const full = Buffer.alloc(4)
    full.writeUInt32BE(CHUNK_BYTES)
    const size = 4 + CHUNK_BYTES + 16
    let first = whole.indexOf(full)
    while (!whole.subarray(first + size, first + size + 4).equals(full)) first = whole.indexOf(full, first + 1)
    const [a, b] = [whole.subarray(first, first + size), whole.subarray(first + size, first + 2 * size)]
    expect(first).toBeGreaterThan(0)
    const swapped = Buffer.concat([whole.subarray(0, first), b, a, whole.subarray(first + 2 * size)])
    expect(await codeOf(read(swapped, identity))).toBe('backup_unreadable')
  })
})

describe('who can open a backup', () => {
  it('is each recipient, and nobody else', async () => {
    const bytes = await backupOf([own.publicKey, other.publicKey])
    expect(await codeOf(read(bytes, own.privateKey))).toBe('whole')
    expect(await codeOf(read(bytes, other.privateKey))).toBe('whole')
    await expect(read(bytes, newKeys().privateKey)).rejects.toThrow('not encrypted to this key')
    await expect(read(bytes, undefined)).rejects.toThrow('no private key was given')
  })

  it('is not who changes the name of a recipient in it', async () => {
    const thief = newKeys()
    const bytes = await backupOf([own.publicKey])
    const to = (key: KeyObject) => key.export({ format: 'jwk' }).x ?? ''
    const renamed = Buffer.from(bytes.toString('latin1').replace(to(own.publicKey), to(thief.publicKey)), 'latin1')
    expect(renamed.equals(bytes)).toBe(false)
    expect(await codeOf(read(renamed, thief.privateKey))).toBe('backup_unreadable')
  })

  it('reads nothing of it without a key: names of tenants and parts are not in it as they are', async () => {
    const bytes = await backupOf([own.publicKey])
    expect(bytes.includes('acme')).toBe(false)
    expect(bytes.includes('registry.db')).toBe(false)
  })
})

import type * as fileSystem from 'node:fs'
import { fsyncSync, openSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { replaceFile } from '../../../../shared/storage/replace-file.ts'
import { tempFolder } from '../../../helpers.ts'

vi.mock('node:fs', async (original) => {
  const fs = await original<typeof fileSystem>()
  const watched = { writeFileSync: vi.fn(fs.writeFileSync), renameSync: vi.fn(fs.renameSync) }
  return { ...fs, ...watched, openSync: vi.fn(fs.openSync), fsyncSync: vi.fn(fs.fsyncSync) }
})

beforeEach(() => void vi.clearAllMocks())

describe('a file that is replaced', () => {
  it('has the new contents and mode, and nothing is left beside it', () => {
    const folder = tempFolder()
    const file = join(folder, 'key')
    writeFileSync(file, 'a much longer text', { mode: 0o644 })
    writeFileSync(`${file}.new`, 'left by an attempt that was killed', { mode: 0o644 })
    replaceFile(file, 'new', 0o600)
    expect(readFileSync(file, 'utf8')).toBe('new')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readdirSync(folder)).toEqual(['key'])
  })

  it('keeps its contents when the new ones cannot be written', () => {
    const file = join(tempFolder(), 'key')
    replaceFile(file, 'old', 0o600)
    vi.mocked(writeFileSync).mockImplementationOnce(() => {
      throw new Error('ENOSPC')
    })
    expect(() => replaceFile(file, 'new', 0o600)).toThrow('ENOSPC')
    expect(readFileSync(file, 'utf8')).toBe('old')
  })

  it('is on the disk before it has its name, and its name before the return', () => {
    const folder = tempFolder()
    replaceFile(join(folder, 'key'), 'new', 0o600)
    const [written, renamed, synced] = [writeFileSync, renameSync, fsyncSync].map((step) => vi.mocked(step).mock)
    expect(written?.lastCall?.[2]).toMatchObject({ flush: true })
    const order = [written, renamed, synced].map((step) => step?.invocationCallOrder.at(-1) ?? 0)
    expect(order).toEqual(order.toSorted((a, b) => a - b))
    expect(vi.mocked(openSync).mock.lastCall?.[0]).toBe(folder)
    expect(synced?.calls).toHaveLength(1)
  })
})

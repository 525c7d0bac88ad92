import type * as fileSystem from 'node:fs'
import { fsyncSync, openSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { makeFolder, makePrivateFolder, PRIVATE, syncFolder } from '../../../../shared/storage/folders.ts'
import { tempFolder } from '../../../helpers.ts'

vi.mock('node:fs', async (original) => {
  const fs = await original<typeof fileSystem>()
  return { ...fs, openSync: vi.fn(fs.openSync), fsyncSync: vi.fn(fs.fsyncSync) }
})

/** The folders that are synced from now on, in order. */
function watchSyncs(): unknown[] {
  const folders: unknown[] = []
  vi.mocked(fsyncSync).mockImplementation(() => void folders.push(vi.mocked(openSync).mock.lastCall?.[0]))
  return folders
}

const modeOf = (path: string): number => statSync(path).mode & 0o777

describe('a new folder', () => {
  it('is durable: it and each missing folder above it are synced in their parents', () => {
    const parent = tempFolder()
    const synced = watchSyncs()
    makeFolder(join(parent, 'a', 'b', 'c'))
    expect(statSync(join(parent, 'a', 'b', 'c')).isDirectory()).toBe(true)
    expect(synced).toEqual([parent, join(parent, 'a'), join(parent, 'a', 'b')])
  })

  it('has the mode that was asked for, as have the folders above it', () => {
    const parent = tempFolder()
    makeFolder(join(parent, 'a', 'b'), PRIVATE)
    expect([modeOf(join(parent, 'a')), modeOf(join(parent, 'a', 'b'))]).toEqual([0o700, 0o700])
  })

  it.for(['/proc/x', '/proc/x/y', '/dev/null', '/dev/null/x/y'])('%s is refused by the file system', (folder) => {
    expect(() => makeFolder(folder)).toThrow(expect.objectContaining({ syscall: 'mkdir' }))
  })

  it('is refused where a link leads nowhere', () => {
    const link = join(tempFolder(), 'link')
    symlinkSync('nowhere', link)
    expect(() => makeFolder(join(link, 'x'))).toThrow(expect.objectContaining({ code: 'EEXIST' }))
  })
})

describe('a folder that is there', () => {
  it('stays as it is', () => {
    const folder = tempFolder()
    const before = statSync(folder)
    const synced = watchSyncs()
    makeFolder(folder)
    expect(synced).toEqual([])
    expect(statSync(folder)).toMatchObject({ ino: before.ino, mode: before.mode })
  })
})

describe('a private folder', () => {
  it('is made with the folders above it, durable, for this user only', () => {
    const parent = tempFolder()
    const folder = join(parent, 'a', 'b')
    const synced = watchSyncs()
    expect(makePrivateFolder(folder)).toBe(folder)
    expect(modeOf(folder)).toBe(0o700)
    expect(synced).toEqual([parent, join(parent, 'a')])
    expect(makePrivateFolder(folder)).toBe(folder)
  })

  it.for(['/proc/x', '/proc/x/y', '/dev/null', '/dev/null/x'])('%s is refused with a code', (folder) => {
    expect(() => makePrivateFolder(folder)).toThrow(expect.objectContaining({ code: 'data_unwritable' }))
  })

  it('is refused where a file stands', () => {
    const file = join(tempFolder(), 'file')
    writeFileSync(file, '')
    expect(() => makePrivateFolder(file)).toThrow(expect.objectContaining({ code: 'data_unwritable' }))
  })
})

describe('syncing a folder', () => {
  it('does nothing on Windows, where a folder cannot be opened', () => {
    const platform = Object.getOwnPropertyDescriptor(process, 'platform')
    onTestFinished(() => void Object.defineProperty(process, 'platform', platform ?? {}))
    Object.defineProperty(process, 'platform', { value: 'win32' })
    const synced = watchSyncs()
    syncFolder(tempFolder())
    expect(synced).toEqual([])
  })
})

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { tempFolder } from '../../helpers.ts'
import { Disk } from '../../power-cut/disk.ts'
import { callsOf } from '../../power-cut/recording.ts'

const hex = (text: string): string =>
  text.replaceAll(/./g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)
const shown = (path: string): string => `3<${hex(path)}>`

/** Lines as strace prints them. */
const open = (path: string): string =>
  `openat(AT_FDCWD<${hex('/')}>, "${hex(path)}", O_RDWR|O_CREAT, 0644) = ${shown(path)}`
const write = (path: string, text: string, at: number): string =>
  `pwrite64(${shown(path)}, "${hex(text)}", ${text.length}, ${at}) = ${text.length}`
const sync = (path: string): string => `fsync(${shown(path)}) = 0`
const failedSync = (path: string): string => `fsync(${shown(path)}) = -1 EIO (Input/output error) (INJECTED)`

/** Names and contents after a cut; `luck` decides what of the unsynced remains. */
function remains(lines: readonly string[], luck?: readonly number[]): Record<string, string> {
  const disk = new Disk('/data')
  for (const call of callsOf(lines.map((line) => `17 1764403200.000001 ${line}`).join('\n'))) disk.apply(call)
  const target = join(tempFolder(), 'remains')
  const left = [...(luck ?? [])]
  disk.writeTo(target, luck === undefined ? 'dropped' : { random: () => left.shift() ?? 0 })

  const names = readdirSync(target, { recursive: true, encoding: 'utf8' }).toSorted()
  return Object.fromEntries(names.map((name) => [name, contentsOf(join(target, name))]))
}

function contentsOf(path: string): string {
  return statSync(path).isDirectory() ? 'folder' : readFileSync(path, 'latin1').replaceAll('\0', '0')
}

const file = '/data/a'
const made = [open(file), write(file, 'one', 0), sync(file), sync('/data')]

describe('a disk after a power cut', () => {
  it('has what a sync covered, and no later write', () => {
    expect(remains([...made, write(file, 'two', 3)])).toEqual({ a: 'one' })
    expect(remains([...made, write(file, 'two', 3), sync(file)])).toEqual({ a: 'onetwo' })
    expect(remains([...made, write(file, 'two', 3)], [0, 0.7])).toEqual({ a: 'onetwo' })
  })

  it('has a name only when its folder was synced', () => {
    expect(remains(made.slice(0, 3))).toEqual({})
    expect(remains([...made, `rename("${hex(file)}", "${hex('/data/b')}") = 0`])).toEqual({ a: 'one' })
    expect(remains([...made, `rename("${hex(file)}", "${hex('/data/b')}") = 0`, sync('/data')])).toEqual({ b: 'one' })
    expect(remains([...made, `unlink("${hex(file)}") = 0`])).toEqual({ a: 'one' })
  })

  it('has nothing of a folder whose own name was not synced', () => {
    const inner = '/data/f/a'
    const folder = [`mkdir("${hex('/data/f')}", 0700) = 0`, open(inner), sync(inner), sync('/data/f')]
    expect(remains(folder)).toEqual({})
    expect(remains([...folder, sync('/data')])).toEqual({ f: 'folder', 'f/a': '' })
  })

  it('has nothing of what a failed sync covered, whatever is synced later', () => {
    const after = [...made, write(file, 'two', 3), failedSync(file), write(file, 'three', 6), sync(file)]
    expect(remains(after)).toEqual({ a: 'one000three' })
  })

  it('has some sectors of a write that was under way', () => {
    const sectors = [open(file), sync('/data'), write(file, `${'x'.repeat(512)}${'y'.repeat(512)}`, 0)]
    // A write that is torn, of which the second sector is there.
    expect(remains(sectors, [0, 0.9, 0.9, 0.1])).toEqual({ a: '0'.repeat(512) + 'y'.repeat(512) })
  })

  it('has what was copied to a file', () => {
    const copy = '/data/b'
    const copied = `copy_file_range(${shown(file)}, [0], 4<${hex(copy)}>, NULL, 3, 0) = 3`
    const lines = [...made, open(copy).replace(/= 3</, '= 4<'), copied, sync(copy), sync('/data')]
    expect(remains(lines)).toEqual({ a: 'one', b: 'one' })
  })
})

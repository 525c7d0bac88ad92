import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { copyFolder, unshare } from '../../../../shared/storage/folder-copy.ts'
import { tempFolder } from '../../../helpers.ts'

const OPTIONS = { skip: (path: string) => path === 'left/out', isShared: (path: string) => path.startsWith('shared/') }

function made(): { from: string; to: string } {
  const from = join(tempFolder(), 'data')
  for (const path of ['shared/big', 'left/out', 'left/in', 'small']) {
    mkdirSync(join(from, path, '..'), { recursive: true })
    writeFileSync(join(from, path), path)
  }
  return { from, to: join(from, 'copy') }
}

const contents = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(folder, name)).isFile())
    .map((name) => `${name}: ${readFileSync(join(folder, name), 'utf8')}`)
    .sort()

describe('a copy of a folder', () => {
  it('has all that is not left out, and what it shares stays as it was when the other one is changed', () => {
    const { from } = made()
    const to = join(tempFolder(), 'copy')
    expect(copyFolder(from, to, OPTIONS)).toEqual({
      copied: 'left/in'.length + 'small'.length,
      shared: 'shared/big'.length,
    })
    const whole = ['left/in: left/in', 'shared/big: shared/big', 'small: small']
    expect(contents(to)).toEqual(whole)
    expect(statSync(join(from, 'shared/big')).ino).toBe(statSync(join(to, 'shared/big')).ino)
    unshare(join(from, 'shared/big'))
    for (const path of ['shared/big', 'small']) writeFileSync(join(from, path), 'another')
    expect(contents(to)).toEqual(whole)
    const { ino } = statSync(join(from, 'shared/big'))
    unshare(join(from, 'shared/big'))
    expect(statSync(join(from, 'shared/big')).ino).toBe(ino)
    unshare(join(from, 'absent'))
  })

  it('is not there in part, and takes the place of what a kill has left of one', () => {
    const { from, to } = made()
    const options = { ...OPTIONS, skip: (path: string) => path.startsWith('copy') }
    mkdirSync(`${to}.draft`)
    writeFileSync(join(`${to}.draft`, 'half'), '')
    symlinkSync('nowhere', join(from, 'zzz'))
    expect(() => copyFolder(from, to, options)).toThrow('ENOENT')
    expect([existsSync(to), existsSync(`${to}.draft`)]).toEqual([false, false])
  })
})

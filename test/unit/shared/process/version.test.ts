import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { buildText, buildOf } from '../../../../shared/process/version.ts'
import { tempFolder } from '../../../helpers.ts'

const IDENTITY = ['-c', 'user.name=somebody', '-c', 'user.email=somebody@example.org', '-c', 'commit.gpgsign=false']

function git(folder: string, ...args: string[]): string {
  return execFileSync('git', [...IDENTITY, ...args], { cwd: folder, encoding: 'utf8', stdio: 'pipe' }).trim()
}

/** A folder with a package.json, as an archive of a version is unpacked. */
function unpacked(): string {
  const folder = tempFolder()
  writeFileSync(join(folder, 'package.json'), '{"version":"1.2.3"}')
  return folder
}

function checkout(): string {
  const folder = unpacked()
  git(folder, 'init', '-q')
  git(folder, 'add', '.')
  git(folder, 'commit', '-q', '-m', 'first')
  return folder
}

it('the commit of a checkout is what Git says: on a branch, packed, detached, and in another work tree', () => {
  const folder = checkout()
  const commit = git(folder, 'rev-parse', 'HEAD')
  expect(buildOf(folder)).toEqual({ version: '1.2.3', commit, node: process.version })
  git(folder, 'pack-refs', '--all')
  expect(buildOf(folder).commit).toBe(commit)
  git(folder, 'commit', '-q', '--allow-empty', '-m', 'second')
  const second = git(folder, 'rev-parse', 'HEAD')
  expect(buildOf(folder).commit).toBe(second)
  const other = join(folder, 'other')
  git(folder, 'worktree', 'add', '-q', '-b', 'side', other, commit)
  expect(buildOf(other).commit).toBe(commit)
  git(folder, 'checkout', '-q', '--detach', commit)
  expect(buildOf(folder).commit).toBe(commit)
})

it('an image has its commit in a file, which is empty when nobody gave it', () => {
  const folder = unpacked()
  expect(buildOf(folder).commit).toBeUndefined()
  writeFileSync(join(folder, 'commit'), '\n')
  expect(buildOf(folder).commit).toBeUndefined()
  writeFileSync(join(folder, 'commit'), `${'a'.repeat(40)}\n`)
  expect(buildOf(folder).commit).toBe('a'.repeat(40))
})

it('what is no repository, and what says nothing sensible, is not known', () => {
  const folder = unpacked()
  mkdirSync(join(folder, '.git'))
  for (const head of ['', 'ref: refs/heads/none', 'ref: ../../secret', 'abc']) {
    writeFileSync(join(folder, '.git/HEAD'), head)
    expect(buildOf(folder).commit, head).toBeUndefined()
  }
})

it('is told in a line', () => {
  expect(buildText({ version: '1.2.3', commit: 'abcdef0123456789', node: 'v26.0.0' })).toBe('1.2.3 (commit abcdef012345, Node v26.0.0)') // prettier-ignore
  expect(buildText({ version: '1.2.3', commit: undefined, node: 'v26.0.0' })).toBe('1.2.3 (Node v26.0.0)')
})

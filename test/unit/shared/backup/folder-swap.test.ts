import fs, { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { finishSwap, makeDraft, swapIn } from '../../../../shared/backup/folder-swap.ts'
import { tempFolder } from '../../../helpers.ts'

const NAMES = ['registry.db', 'log/groups.sqlite', 'points/raw.db', 'stamps.json']

function fill(folder: string, text: string): void {
  for (const name of NAMES) {
    mkdirSync(join(folder, name, '..'), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
}

function prepared(): { folder: string; draft: string } {
  const folder = tempFolder()
  fill(folder, 'old')
  writeFileSync(join(folder, 'admin-token'), 'old')
  const draft = makeDraft(folder)
  fill(draft, 'new')
  return { folder, draft }
}

/** What whoever opens the folder next finds. */
function contents(folder: string): Record<string, string> {
  const files = [...NAMES, 'admin-token'].filter((name) => existsSync(join(folder, name)))
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(folder, name), 'utf8')]))
}

/** True when the work was cut off behind so many renames and removals: nothing of it runs any more, as after a kill. */
function cutBehind(steps: number, work: () => void): boolean {
  const real = { renameSync: fs.renameSync, rmSync: fs.rmSync }
  let left = steps
  const counting = <A extends unknown[]>(call: (...args: A) => void) => {
    return (...args: A): void => {
      if (left-- <= 0) throw new Error('killed')
      call(...args)
    }
  }
  Object.assign(fs, { renameSync: counting(real.renameSync), rmSync: counting(real.rmSync) })
  syncBuiltinESMExports()
  try {
    work()
    return false
  } catch (error) {
    if (!(error instanceof Error) || !error.message.includes('killed')) throw error
    return true
  } finally {
    Object.assign(fs, real)
    syncBuiltinESMExports()
  }
}

const OLD = Object.fromEntries([...NAMES, 'admin-token'].map((name) => [name, 'old']))
const NEW = Object.fromEntries(NAMES.map((name) => [name, 'new']))

describe('a folder that is replaced', () => {
  it('is the new one, with the old one kept in it', () => {
    const { folder, draft } = prepared()
    swapIn(folder, draft, 'before-restore-then')
    expect(contents(folder)).toEqual(NEW)
    expect(contents(join(folder, 'before-restore-then'))).toEqual(OLD)
    expect(readdirSync(folder).sort()).toEqual(['before-restore-then', 'log', 'points', 'registry.db', 'stamps.json'])
  })

  it('is the old one or the new one wherever the process is killed, and never a mix', () => {
    const outcomes: string[] = []
    for (let steps = 0; ; steps++) {
      const { folder, draft } = prepared()
      const wasCut = cutBehind(steps, () => swapIn(folder, draft, 'before-restore-then'))
      // Killed again while it is completed, it is completed the next time.
      for (let again = 0; again < 3; again++) cutBehind(again, () => finishSwap(folder))
      finishSwap(folder)
      const found = contents(folder)
      outcomes.push(found['registry.db'] ?? 'none')
      expect(found).toEqual(found['registry.db'] === 'old' ? OLD : NEW)
      if (found['registry.db'] === 'new') expect(contents(join(folder, 'before-restore-then'))).toEqual(OLD)
      expect(readdirSync(folder).filter((name) => name.startsWith('restore.'))).toEqual([])
      if (!wasCut) break
    }
    expect(outcomes.slice(0, 2)).toEqual(['old', 'old'])
    expect(outcomes.slice(2).every((outcome) => outcome === 'new')).toBe(true)
    expect(outcomes.length).toBeGreaterThan(10)
  })

  it('is not touched by a draft that was left behind', () => {
    const { folder, draft } = prepared()
    finishSwap(folder)
    expect(existsSync(draft)).toBe(false)
    expect(contents(folder)).toEqual(OLD)
  })
})

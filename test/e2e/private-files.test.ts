import { chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { tempFolder } from '../helpers.ts'
import { startServer } from './server.ts'

it('files of a data folder are private, whatever the mode of the folder and of what was in it', async () => {
  const folder = join(tempFolder(), 'data')
  mkdirSync(join(folder, 'log'), { recursive: true })
  writeFileSync(join(folder, 'log', 'from-before'), '')
  for (const path of [folder, join(folder, 'log')]) chmodSync(path, 0o755)
  chmodSync(join(folder, 'log', 'from-before'), 0o644)
  await startServer({ folder })
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const open = files.filter(({ parentPath, name }) => (statSync(join(parentPath, name)).mode & 0o077) !== 0)
  expect(files.length).toBeGreaterThan(5)
  expect(open.map(({ name }) => name)).toEqual([])
})

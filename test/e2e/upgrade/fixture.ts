import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Expected } from '../../../load-tests/upgrade/make.ts'
import { tempFolder } from '../../helpers.ts'

export interface Fixture extends Expected {
  readonly folder: string
}

/** Unpacks what the version of that commit left behind; gone with the test. */
export function unpack(commit: string): Fixture {
  const out = tempFolder()
  execFileSync('tar', ['-xzf', join(import.meta.dirname, `${commit}.tar.gz`), '-C', out])
  return { folder: join(out, 'data'), ...(JSON.parse(readFileSync(join(out, 'expected.json'), 'utf8')) as Expected) }
}

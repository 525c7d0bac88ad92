import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { makeFolder } from '../../../../shared/process/service-process.ts'
import { tempFolder } from '../../../helpers.ts'

describe('the data folder', () => {
  it('is made with the folders above it, for this user only', () => {
    const folder = join(tempFolder(), 'a', 'b')
    expect(makeFolder(folder)).toBe(folder)
    expect(statSync(folder).mode & 0o777).toBe(0o700)
    expect(makeFolder(folder)).toBe(folder)
  })

  it.for(['/proc/x', '/proc/x/y', '/dev/null', '/dev/null/x'])('%s is refused with a code', (folder) => {
    expect(() => makeFolder(folder)).toThrow(expect.objectContaining({ code: 'data_unwritable' }))
  })

  it('is refused where a file stands', () => {
    const file = join(tempFolder(), 'file')
    writeFileSync(file, '')
    expect(() => makeFolder(file)).toThrow(expect.objectContaining({ code: 'data_unwritable' }))
  })
})

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { faultOfResult, resultCodeOf, storageFault } from '../../../../shared/storage/storage-fault.ts'
import { tempFolder } from '../../../helpers.ts'
import { canMount, smallDisk } from '../../../small-disk.ts'

function errorOf(work: () => void): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  throw new Error('it did not fail')
}

function open(file: string): DatabaseSync {
  const database = new DatabaseSync(file)
  onTestFinished(() => database.close())
  return database
}

/** Prints the result codes of a database that is to grow, and of a WAL whose index has to be made again. */
const ON_A_FULL_DISK = `
  const { copyFileSync, writeFileSync } = require('node:fs')
  const { DatabaseSync } = require('node:sqlite')
  process.chdir(process.argv[1])
  const first = new DatabaseSync('first.db')
  first.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (x)')
  for (const suffix of ['', '-wal']) copyFileSync('first.db' + suffix, 'left.db' + suffix)
  const codeOf = (work) => { try { work() } catch (error) { return error.errcode } }
  codeOf(() => writeFileSync('neighbour', Buffer.alloc(2_000_000)))
  const grows = codeOf(() => new DatabaseSync('new.db').exec('CREATE TABLE t (x)'))
  console.log(JSON.stringify([grows, codeOf(() => new DatabaseSync('left.db').prepare('SELECT x FROM t'))]))
`

/** What SQLite itself throws, not what its manual says. */
describe('an error of SQLite', () => {
  it.for([
    ['data_locked', 'a database that another one holds'],
    ['disk_full', 'a database that may not grow'],
    ['corrupt', 'a file that is no database'],
    ['data_unwritable', 'a database that is only read'],
    ['data_unwritable', 'a file that cannot be opened'],
    [undefined, 'a statement that is none'],
  ] as const)('means %s: %s', ([fault, what]) => {
    const folder = tempFolder()
    const file = join(folder, 'a.db')
    const error = errorOf(() => {
      const database = open(what.startsWith('a file that cannot') ? join(folder, 'none', 'a.db') : file)
      database.exec('CREATE TABLE t (x BLOB)')
      switch (what) {
        case 'a database that another one holds':
          database.exec('BEGIN EXCLUSIVE')
          return open(file).exec('SELECT * FROM t')
        case 'a database that may not grow':
          return database.exec('PRAGMA max_page_count = 2; INSERT INTO t VALUES (zeroblob(100000))')
        case 'a file that is no database':
          writeFileSync(join(folder, 'b.db'), 'x'.repeat(8192))
          return open(join(folder, 'b.db')).exec('SELECT * FROM t')
        case 'a database that is only read':
          return database.exec('PRAGMA query_only = 1; INSERT INTO t VALUES (1)')
        case 'a statement that is none':
          return database.exec('SELEKT')
        case 'a file that cannot be opened':
          return
      }
    })
    expect(storageFault(error)).toBe(fault)
    expect(resultCodeOf(error)).toEqual(expect.any(Number))
  })

  it('means the same by its extended code', () => {
    expect(faultOfResult(1032)).toBe('data_unwritable') // SQLITE_READONLY_DBMOVED
    expect(faultOfResult(261)).toBe('data_locked') // SQLITE_BUSY_RECOVERY
    expect(faultOfResult(2067)).toBeUndefined() // SQLITE_CONSTRAINT_UNIQUE
  })

  it.skipIf(!canMount)('means a full disk, whichever of its files finds no room (needs `unshare -rm`)', async () => {
    const disk = await smallDisk(1)
    const node = [join(import.meta.dirname, '../../../../node_modules/.bin/node'), '-e', ON_A_FULL_DISK, disk.folder]
    const [command = '', ...args] = [...disk.wrapper, ...node]
    const codes = JSON.parse(execFileSync(command, args, { encoding: 'utf8' })) as number[]
    expect(codes).toEqual([13, 4874])
    expect(codes.map(faultOfResult)).toEqual(['disk_full', 'disk_full'])
  })
})

describe('an error of the file system', () => {
  it('means what its code says', () => {
    const folder = tempFolder()
    mkdirSync(join(folder, 'a'))
    expect(storageFault(errorOf(() => readFileSync(join(folder, 'none'))))).toBe('data_unwritable')
    expect(storageFault(errorOf(() => mkdirSync(join(folder, 'a'))))).toBe('data_unwritable')
    expect(storageFault(errorOf(() => writeFileSync('/dev/full', 'x')))).toBe('disk_full')
  })

  it('means nothing known when its code is another, or there is none', () => {
    expect(storageFault(Object.assign(new Error('x'), { code: 'ECONNRESET' }))).toBeUndefined()
    expect(storageFault(new Error('x'))).toBeUndefined()
    expect(storageFault('ENOSPC')).toBeUndefined()
    expect(storageFault(undefined)).toBeUndefined()
  })
})

import { existsSync, readdirSync } from 'node:fs'
import { copyFile, constants, open, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { SluiceError } from '../../errors.ts'
import { makeFolder, syncFolder } from '../../storage/folders.ts'
import type { ChunkFiles } from './chunk-files.ts'
import type { HotDatabase } from './hot.ts'

/**
 * Copies a store whose chunk files rest. The hot database comes last and under its name only when it is whole: together
 * with the files it is the store at that moment, and without it the folder is refused as a store.
 */
export async function copyStore(files: ChunkFiles, hot: HotDatabase, folder: string): Promise<void> {
  if (existsSync(folder) && readdirSync(folder).length > 0) {
    throw new SluiceError('already_exists', `the folder for the snapshot is not empty: ${folder}`)
  }
  makeFolder(folder)
  makeFolder(join(folder, 'chunks'))
  for (const name of files.all()) {
    const target = join(folder, 'chunks', files.relative(name))
    makeFolder(dirname(target))
    await copyFile(files.path(name), target, constants.COPYFILE_FICLONE)
    await syncFile(target)
    syncFolder(dirname(target))
  }
  const partial = join(folder, 'raw.db.partial')
  hot.copyTo(partial)
  await syncFile(partial)
  await rename(partial, join(folder, 'raw.db'))
  syncFolder(folder)
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r+')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

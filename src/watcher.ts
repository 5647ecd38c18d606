/**
 * Watches a file or a folder. The one door of `chokidar`.
 *
 * A notice says only "look again": what changed is for the reader of the files to find out, by
 * their contents. Editors write by rename, `git checkout` touches many files, and Kubernetes
 * switches a symlink, so a notice comes after a quiet spell, once.
 *
 * The folder that holds the target is not watched: the audit log may be written there, many times
 * a second. The target itself is looked at by `stat` instead, which also sees it come and go.
 */
import { type Stats, statSync, unwatchFile, watchFile } from 'node:fs'
import { type FSWatcher, watch } from 'chokidar'

export interface Watcher {
  close(): Promise<void>
}

/** No notice while changes still come in. */
const QUIET_MS = 100
const STAT_EVERY_MS = 150
/** Looked at this often even when nothing was noticed: some file systems tell nothing. */
const LOOK_ANYWAY_MS = 5000

/**
 * @param target - A file or a folder, which need not exist.
 * @param notice - Called after each quiet spell.
 */
export function watchPath(target: string, notice: () => void): Watcher {
  let quiet: NodeJS.Timeout | undefined
  let inside: FSWatcher | undefined

  const restart = (): void => {
    clearTimeout(quiet)
    quiet = setTimeout(notice, QUIET_MS)
  }

  function watchInside(): void {
    void inside?.close()
    inside = watch(target, { ignoreInitial: true })
    inside.on('all', restart)
    // A symlink that is switched to a folder that was there before is no event of its own.
    inside.on('raw', restart)
    // What changed before the watch stood was not seen.
    inside.on('ready', restart)
    // A watch that fails leaves the look that is taken anyway.
    inside.on('error', () => {})
  }

  const onStat = (now: Stats): void => {
    // The watch may be on what was there before: a folder is replaced, or leaves and comes back, unseen.
    if (now.isDirectory()) watchInside()
    restart()
  }
  watchFile(target, { interval: STAT_EVERY_MS, persistent: false }, onStat)
  if (statSync(target, { throwIfNoEntry: false })?.isDirectory()) watchInside()
  else restart()
  const anyway = setInterval(notice, LOOK_ANYWAY_MS).unref()

  return {
    async close() {
      unwatchFile(target, onStat)
      clearTimeout(quiet)
      clearInterval(anyway)
      await inside?.close()
    },
  }
}

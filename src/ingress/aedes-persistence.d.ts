// The package declares this class in another folder than the one that it is loaded from.
declare module 'aedes-persistence/asyncPersistence.js' {
  import MemoryPersistence from 'aedes-persistence/types/asyncPersistence.js'
  export default MemoryPersistence
}

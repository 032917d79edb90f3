package exact

// Reads says how many groups have been read from the database.
func (s *Store) Reads() int64 { return s.reads.Load() }

// Used says how many bytes are held.
func (s *Store) Used() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}
